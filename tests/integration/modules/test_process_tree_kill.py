# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""process_tree_kill: what it is asked to end is ended, all of it, and nothing else is touched."""

from __future__ import annotations

from tests.integration.modules.asking import Result, ask, states
from tests.integration.modules.dead_runs import (
    PIPELINING,
    dead_run,
    kinds,
    let_go,
    living_run,
    of_run,
)
from tests.support.hosts import Host, Lab
from tests.support.run import gate, tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.run.waiting import stays, until
from tests.support.trees import tree
from tests.support.trees.table import rest

INFO, KILL = "process_tree_info", "process_tree_kill"

#: Seconds for which a process that must not be touched is watched.
WHILE = 1.0


def pids(rows: list[Result]) -> set[int]:
    return {row["pid"] for row in rows}


def test_all_that_is_dead_is_ended_and_the_living_are_not_touched(lab: Lab, web1: Host) -> None:
    """Check mode lists the processes, and touches none."""
    with (
        dead_run(lab, web1) as dead,
        dead_run(lab, web1, become=True) as dead_as_root,
        living_run(lab, web1) as living,
    ):
        own = web1.spawn(tree.NAMESAKE.split(), user="ansible")
        before = {process.id for process in of_run(living, web1)}
        planned = ask(lab, web1, KILL, check=True, dead=True)
        assert planned["changed"]
        assert kinds(dead, web1) == kinds(dead_as_root, web1) >= {*dead.setting.kinds, "plain"}
        done = ask(lab, web1, KILL, dead=True, kill_timeout=2)
        assert done["changed"]
        assert done["survivors"] == []
        assert pids(done["gone"]) == pids(planned["found"])
        assert not kinds(dead, web1) | kinds(dead_as_root, web1)
        until(
            lambda: not of_run(dead, web1) + of_run(dead_as_root, web1),
            10,
            "what stood above the roots ends by itself",
        )
        again = ask(lab, web1, KILL, dead=True)
        assert (again["changed"], again["gone"]) == (False, [])
        assert {process.id for process in of_run(living, web1)} == before
        assert own.id.alive()
        let_go(living, web1)


def test_without_an_order_a_dead_run_lives_on(lab: Lab, web1: Host) -> None:
    """The control."""
    with dead_run(lab, web1) as dead:
        stays(lambda: kinds(dead, web1) >= {*dead.setting.kinds}, WHILE, "another process ends it")


def test_what_a_command_left_behind_is_ended_only_where_that_is_said(lab: Lab, web1: Host) -> None:
    """Such are daemons of a task that has returned, and a job that is not polled.

    Their run is dead, and they may be wanted.
    """
    play = Play(
        [
            {
                "name": "Leave daemons",
                "ansible.builtin.shell": tree.left_behind("{{ row }}", ("setsid", "daemon")),
            },
            {
                "name": "Leave a job",
                "ansible.builtin.command": "sleep 1235",
                "async": 3600,
                "poll": 0,
            },
            {"name": "Stand", "ansible.builtin.shell": gate.script("{{ row }}")},
        ],
        sections=PIPELINING,
    )
    with started(lab, play) as run:
        tasks.wait_at(run, web1)
        found = ask(lab, web1, INFO)
        assert states(found) == ["job", "left", "running"], found
        name = found["trees"][0]["run"]
        tasks.open_gate(run, web1)
        assert run.wait(60) == 0, run.story
        assert ask(lab, web1, KILL, dead=True)["gone"] == []
        spared = ask(lab, web1, KILL, runs=name)
        assert (
            spared["changed"],
            spared["gone"],
            sorted(one["state"] for one in spared["left_alone"]),
        ) == (False, [], ["job", "left"])
        assert kinds(run, web1) == {"setsid", "daemon"}
        assert web1.processes("^sleep 1235")
        lease = next(one["lease"] for one in found["trees"] if one["state"] == "left")
        daemons = ask(lab, web1, KILL, runs=name, leases=lease)
        assert len(daemons["gone"]) == 2, daemons
        assert not kinds(run, web1)
        assert web1.processes("^sleep 1235")
        assert ask(lab, web1, KILL, runs=name, left_behind=True)["changed"]
        until(lambda: not web1.processes(), 10, lambda: f"there are still {web1.processes()}")


@rest
def test_one_of_many_commands_is_ended(lab: Lab, web1: Host) -> None:
    """It is named by process, its start, and the root that is listed for each."""
    with dead_run(lab, web1) as one, dead_run(lab, web1) as other:
        [first, second] = ask(lab, web1, INFO, dead=True)["trees"]
        wrong = ask(lab, web1, KILL, pid=first["root"]["pid"], start=first["root"]["start"] + 1)
        assert (wrong["changed"], wrong["gone"]) == (False, [])
        assert "another process by now" in wrong["msg"]
        done = ask(
            lab, web1, KILL, pid=first["root"]["pid"], start=first["root"]["start"], kill_timeout=2
        )
        assert pids(done["gone"]) == pids(first["processes"])
        assert done["survivors"] == []
        assert [kinds(run, web1) == set() for run in (one, other)].count(True) == 1
        assert pids(ask(lab, web1, INFO)["trees"][0]["processes"]) == pids(second["processes"])


DAEMON = 'echo $$ > "$0"; while :; do sleep 1238; done'


def test_the_process_that_a_pid_file_names_is_ended_with_what_it_started(
    lab: Lab, web1: Host
) -> None:
    own = web1.spawn(["sleep", "1239"])
    daemon = web1.spawn(["sh", "-c", DAEMON, "/run/x.pid"])
    until((web1.root / "run/x.pid").exists, 10, "no pid file")
    until(lambda: web1.processes("^sleep 1238"), 10, "nothing below it")
    planned = ask(lab, web1, KILL, check=True, pid_file="/run/x.pid", kill_signal="INT")
    assert [(row["role"], row["signal"]) for row in planned["found"]] == [
        ("root", "INT"),
        ("child", "TERM"),
    ]
    done = ask(lab, web1, KILL, pid_file="/run/x.pid")
    assert daemon.pid in pids(done["gone"])
    assert not web1.processes("1238")
    gone = ask(lab, web1, KILL, pid_file="/run/x.pid")
    assert (gone["changed"], gone["msg"]) == (
        False,
        "pid file /run/x.pid names a process that is gone",
    )
    missing = ask(lab, web1, KILL, pid_file="/run/y.pid")
    assert (missing["changed"], missing["msg"]) == (False, "pid file /run/y.pid does not exist")
    assert own.id.alive()


def test_a_pid_file_that_does_not_match_is_refused(lab: Lab, web1: Host) -> None:
    """It is stale, another user's, a link, or one that other users can replace.

    None of them ends a process.
    """
    victim = web1.spawn(["sleep", "1240"])
    shell = f"""
        mkdir /tmp/open; chmod 777 /tmp/open
        for f in /run/stale.pid /run/real.pid /tmp/open/x.pid /tmp/users.pid; do
            echo {victim.pid} > $f
        done
        echo {victim.pid} {victim.pid} > /run/two.pid
        ln -s real.pid /run/link.pid; chown other /tmp/users.pid
        touch -d '1 hour ago' /run/stale.pid
    """
    web1.run(["sh", "-c", shell])
    words = {
        "/run/stale.pid": "is stale",
        "/tmp/open/x.pid": "replace files in /tmp/open",
        "/tmp/users.pid": "belongs to uid",
    }
    words.update(
        {"/run/two.pid": "one number", "/run/link.pid": "symbolic link", "run/real.pid": "absolute"}
    )
    asked = [
        {
            "treekill.remote.process_tree_kill": {"pid_file": path},
            "register": "refused",
            "failed_when": f"{word!r} not in refused.msg",
        }
        for path, word in words.items()
    ]
    with started(lab, Play(asked, keywords={"become": True}, sections=PIPELINING)) as run:
        assert run.wait(90) == 0, run.story
    assert victim.id.alive()
    assert ask(lab, web1, KILL, pid_file="/run/real.pid")["changed"]
    assert not victim.id.alive()


@rest
def test_a_user_ends_what_is_his_own_and_is_told_of_the_rest(lab: Lab, web1: Host) -> None:
    roots = web1.spawn(
        ["sleep", "1241"], environ={"TREEKILL": "0123456789abcdef/00000001/4711/4710"}
    )
    mine = web1.spawn(
        ["sleep", "1242"],
        user="ansible",
        environ={"TREEKILL": "0123456789abcdef/00000001/4711/4710"},
    )
    done = ask(lab, web1, KILL, become="", runs="0123456789abcdef", left_behind=True)
    assert (pids(done["gone"]), done["complete"]) == ({mine.pid}, False)
    assert roots.id.alive()
    denied = ask(lab, web1, KILL, become="", pid=roots.pid, start=roots.start)
    assert (denied["changed"], denied["survivors"][0]["reason"]) == (
        False,
        "not permitted (owned by root)",
    )
    planned = ask(lab, web1, KILL, check=True, become="", pid=roots.pid, start=roots.start)
    assert (planned["changed"], planned["found"], len(planned["survivors"])) == (False, [], 1)


def test_what_stands_above_the_module_is_refused(lab: Lab, web1: Host) -> None:
    every = {process.command.partition(" ")[0]: process for process in web1.processes(system=True)}
    listener = next(process for name, process in every.items() if "sshd" in name)
    assert ask(lab, web1, KILL, fails=True, pid=1, start=1)["msg"] == "pid 1 is never ended"
    refused = ask(lab, web1, KILL, fails=True, pid=listener.pid, start=listener.start)
    assert refused["msg"].endswith("is an ancestor of this module")


def test_the_run_that_executes_the_module_is_refused(lab: Lab, web1: Host) -> None:
    """It is named by name, and by processes of another command of it.

    What that command left behind when it returned is no such command.
    """
    play = Play(
        [
            {"name": "Leave", "ansible.builtin.shell": tree.left_behind("{{ row }}", ("setsid",))},
            {"treekill.remote.process_tree_info": None, "register": "alive"},
            {
                "treekill.remote.process_tree_kill": {
                    "runs": "{{ alive.own_runs }}",
                    "left_behind": True,
                },
                "register": "refused",
                "failed_when": "'executing this task' not in refused.msg",
            },
            {
                "treekill.remote.process_tree_kill": {"dead": True},
                "register": "nothing",
                "failed_when": "nothing.gone | length > 0",
            },
            {
                "treekill.remote.process_tree_kill": {
                    "pid": "{{ alive.trees[0].processes[0].pid }}",
                    "start": "{{ alive.trees[0].processes[0].start }}",
                },
                "register": "done",
                "failed_when": "done.gone | length != 1",
            },
        ],
        sections=PIPELINING,
    )
    with started(lab, play) as run:
        assert run.wait(90) == 0, run.story
        assert "executing this task" in run.output or not kinds(run, web1), run.story


@rest
def test_a_kill_that_has_begun_goes_on_when_its_run_is_interrupted(lab: Lab, web1: Host) -> None:
    """No process is left stopped."""
    with dead_run(lab, web1) as dead:
        play = Play(
            [{"treekill.remote.process_tree_kill": {"dead": True, "kill_timeout": 3}}],
            keywords={"become": True},
            sections=PIPELINING,
        )
        with started(lab, play) as run:
            until(
                lambda: kinds(dead, web1) == {"ignores-signals"},
                40,
                lambda: f"it does not begin: {kinds(dead, web1)}\n{run.story}",
            )
            interrupt(run)
            assert run.wait(40) == 99, run.story
            until(lambda: not kinds(dead, web1), 10, lambda: f"alive: {of_run(dead, web1)}")
            tasks.wait_until_nothing_is_left(run)


def interrupt(run: Run) -> None:
    run.process.send_signal(2)
