# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""process_tree_info: the run of each live process on a host.

It also reports whether a process still waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.docs.examples.stages import abandon
from tests.integration.modules.asking import ask, states, trees
from tests.integration.modules.dead_runs import (
    KINDS,
    PIPELINING,
    dead_run,
    kinds,
    let_go,
    living_run,
    members,
    of_run,
    sessions_above,
)
from tests.support.hosts import Host, Lab
from tests.support.labs import proc_hosts
from tests.support.labs.lab_or_skip import lab_or_skip
from tests.support.run import tasks
from tests.support.run.playing import Play, started
from tests.support.run.waiting import until
from tests.support.trees.table import rest

INFO = "process_tree_info"


def test_the_command_of_a_dead_run_is_abandoned_and_that_of_a_living_one_is_not(
    lab: Lab, web1: Host
) -> None:
    with dead_run(lab, web1) as dead, living_run(lab, web1) as living:
        every = ask(lab, web1, INFO)
        assert states(every) == ["abandoned", "running"], every
        assert every["complete"], every
        abandoned = next(tree for tree in every["trees"] if tree["state"] == "abandoned")
        assert {row["pid"] for row in abandoned["processes"]} >= members(dead, web1)
        found = ask(lab, web1, INFO, dead=True)
        assert [tree["lease"] for tree in trees(found)] == [abandoned["lease"]]
        assert kinds(dead, web1) >= {*KINDS}
        let_go(living, web1)


def test_what_is_told_of_a_command_is_what_is_seen_from_outside(lab: Lab, web1: Host) -> None:
    with living_run(lab, web1, supervise=True, before_gate="sleep 1234 & ") as run:
        [tree] = ask(lab, web1, INFO)["trees"]
        seen = {process.pid: process for process in web1.processes()}
        root = tree["root"]
        assert root["alive"]
        assert (tree["state"], tree["supervised"], tree["task"], tree["users"]) == (
            "running",
            True,
            "Stand at the gate",
            ["ansible"],
        ), tree
        assert seen[root["pid"]].ppid == root["ppid"]
        rows = {row["pid"]: row for row in tree["processes"]}
        assert all(
            (row["ppid"], row["user"], row["status"])
            == (seen[pid].ppid, seen[pid].user, seen[pid].state)
            for pid, row in rows.items()
        )
        assert "sleep 1234" in [row["command"] for row in rows.values()]
        assert all(
            row["depth"] == rows[row["ppid"]]["depth"] + 1
            for row in rows.values()
            if row["ppid"] in rows
        )
        assert 0 < tree["age"] < 600
        assert tree["memory"] > 1 << 20
        assert tree["cpu"] > 0
        let_go(run, web1)


@rest
def test_what_sudo_runs_for_a_dead_run_is_abandoned_and_its_user_can_tell_but_not_end_it(
    lab: Lab, web1: Host
) -> None:
    """The login shell above sudo is the user's own. The result names what the user can't see."""
    with dead_run(lab, web1, become=True) as dead:
        assert states(ask(lab, web1, INFO)) == ["abandoned"]
        by_user = ask(lab, web1, INFO, become="")
        assert (by_user["complete"], by_user["hidden"], states(by_user)) == (
            False,
            False,
            ["abandoned"],
        )
        assert by_user["unreadable"] > 0
        assert "did not let ansible read their environment" in by_user["msg"]
        done = ask(lab, web1, "process_tree_kill", become="", dead=True)
        assert (done["changed"], done["gone"]) == (False, [])
        assert {row["reason"] for row in done["survivors"]} == {"not permitted (owned by root)"}, (
            done
        )
        assert states(ask(lab, web1, INFO, become="", login="other")) in (
            ["unknown"],
            ["left", "unknown"],
            [],
        )
        assert ask(lab, web1, INFO, become="", login="other", dead=True)["trees"] == []
        assert kinds(dead, web1) >= {*KINDS}


def test_a_user_sees_and_judges_what_is_his_own(lab: Lab, web1: Host) -> None:
    with dead_run(lab, web1):
        assert states(ask(lab, web1, INFO, become="", dead=True)) == ["abandoned"]


@rest
def test_a_task_that_may_lose_its_connection_is_kept(lab: Lab, web1: Host) -> None:
    """Its run lives, and no process reads its output."""
    play = Play(
        [tasks.grow()],
        kinds=KINDS,
        options={"supervise": False, "on_disconnect": "keep"},
        sections=PIPELINING,
    )
    with started(lab, play) as run:
        tasks.wait_for_tree(run, [web1])
        for session in sessions_above(web1, of_run(run, web1)):
            session.id.kill()
        until(lambda: not sessions_above(web1, of_run(run, web1)), 10, "the session goes on")
        assert states(ask(lab, web1, INFO)) == ["kept"]
        assert ask(lab, web1, "process_tree_kill", dead=True)["gone"] == []


def test_command_lines_are_told_unless_they_are_secret(lab: Lab, web1: Host) -> None:
    with living_run(lab, web1, supervise=True, before_gate="sleep 1236 & ", no_log=True) as run:
        [tree] = ask(lab, web1, INFO)["trees"]
        assert tree["task"] is None
        assert {row["command"] for row in tree["processes"]} >= {"[sleep]"}
        assert "1236" not in str(tree)
        let_go(run, web1)
    web1.spawn(["sleep", "1237"], environ={"TREEKILL": "0123456789abcdef/00000001/4711/4710"})
    assert "sleep 1237" in str(ask(lab, web1, INFO))
    assert "1237" not in str(ask(lab, web1, INFO, arguments=False))


def test_only_what_is_asked_for(lab: Lab, web1: Host) -> None:
    for number, run in enumerate(("0123456789abcdef", "8c0e4010f40ee5a5")):
        web1.spawn(["sleep", f"100{number}"], environ={"TREEKILL": f"{run}/00000001/4711/4710"})
    assert [tree["run"] for tree in ask(lab, web1, INFO, check=True)["trees"]] == [
        "0123456789abcdef",
        "8c0e4010f40ee5a5",
    ]
    assert [tree["run"] for tree in ask(lab, web1, INFO, runs="8c0e4010f40ee5a5")["trees"]] == [
        "8c0e4010f40ee5a5"
    ]
    assert ask(lab, web1, INFO, runs="ffffffffffffffff")["trees"] == []
    assert ask(lab, web1, INFO, older_than="1h")["trees"] == []
    assert "not a run id" in ask(lab, web1, INFO, fails=True, runs="x")["msg"]


#: Commands that one host has at a time in the next test, and seconds in which they are listed,
#: connection and all.
MANY, SOON = 200, 30.0


@rest
def test_many_trees_are_told_and_ended_at_once(lab: Lab, web1: Host) -> None:
    one = (
        "/bin/sh -c 'export TREEKILL=0123456789abcdef/%08x/$$/$PPID; sleep 1001 & env -i sleep "
        "1002; true' & "
    )
    abandon(
        web1,
        "8c0e4010f40ee5a5",
        "00000000",
        "".join(one % number for number in range(MANY)) + "sleep 1003",
        "^sleep 1003",
    )
    until(lambda: len(web1.processes("^sleep 100[12]$")) == 2 * MANY, 60, "not all of them run")
    began = time.monotonic()
    found = trees(ask(lab, web1, INFO), "0123456789abcdef")
    assert time.monotonic() - began < SOON
    assert len(found) == MANY
    assert {len(tree["processes"]) for tree in found} == {3}
    done = ask(lab, web1, "process_tree_kill", runs="0123456789abcdef")
    assert len(done["gone"]) == 3 * MANY
    assert done["survivors"] == []
    assert not web1.processes("^sleep 100[12]$")
    assert web1.processes("^sleep 1003")


@pytest.fixture
def hiding(lab: Lab) -> Iterator[Host]:
    """A host with hidepid=2."""
    with lab_or_skip(1) as one:
        proc_hosts.hide_others(one["web1"])
        yield one["web1"]


def test_where_proc_hides_the_processes_of_others_that_is_told(hiding: Host) -> None:
    lab = Lab.load(hiding.lab.name)
    with dead_run(lab, hiding, become=True), living_run(lab, hiding) as living:
        by_user = ask(lab, hiding, INFO, become="")
        assert (by_user["complete"], by_user["hidden"]) == (False, True)
        assert "/proc hides the processes of others" in by_user["msg"]
        assert ask(lab, hiding, "process_tree_kill", become="", dead=True)["gone"] == []
        assert states(ask(lab, hiding, INFO)) == ["abandoned", "running"]
        done = ask(lab, hiding, "process_tree_kill", dead=True, kill_timeout=1)
        assert done["changed"]
        assert done["survivors"] == []
        let_go(living, hiding)
