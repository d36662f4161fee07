# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""process_tree_info: whose is what is alive on a host, and is there still somebody who waits for it."""

from __future__ import annotations

from tests.hosts import Host, Lab
from tests.modules.asking import ask, states, trees
from tests.modules.dead_runs import KINDS, dead_run, kinds, let_go, living_run, members

INFO = "process_tree_info"


def test_the_command_of_a_dead_run_is_abandoned_and_that_of_a_living_one_is_not(lab: Lab, web1: Host) -> None:
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
        assert (tree["state"], tree["supervised"], tree["task"], tree["users"]) == ("running", True, "Stand_at_the_gate", ["ansible"]), tree
        assert seen[root["pid"]].ppid == root["ppid"]
        rows = {row["pid"]: row for row in tree["processes"]}
        assert all((row["ppid"], row["user"], row["status"]) == (seen[pid].ppid, seen[pid].user, seen[pid].state) for pid, row in rows.items())
        assert "sleep 1234" in [row["command"] for row in rows.values()]
        assert all(row["depth"] == rows[row["ppid"]]["depth"] + 1 for row in rows.values() if row["ppid"] in rows)
        assert 0 < tree["age"] < 600
        assert tree["memory"] > 1 << 20
        assert tree["cpu"] > 0
        let_go(run, web1)
