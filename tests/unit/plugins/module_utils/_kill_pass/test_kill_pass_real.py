# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kill pass on real process trees, each in a process table of its own.

Each test checks what was running before, and that nothing is running after.
"""

import json
import os
import signal
import sys

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import KillRequest
from ansible_collections.treekill.remote.plugins.module_utils._lease.request_words import (
    request_words,
)

from tests.unit.plugins.module_utils.process_namespace import PROJECT_PATHS, read_lines
from tests.unit.plugins.module_utils.tree_kinds import COOKIE, KINDS, LEASE, RUN, end, need, python

MAIN = """
import sys; sys.path[:] = %r
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.main import main
main(sys.argv[1:], '')
""" % (PROJECT_PATHS,)


def start(namespace, script, ready=1, alive=1, env=None):
    """Run a root shell with this script, and return its pids once it is ready."""
    before = set(namespace.processes())
    shell = namespace.spawn(["/bin/sh", "-c", "export %s; %s" % (COOKIE, script)], env=env)
    read_lines(shell, ready)
    return (
        set(
            namespace.wait_for(
                lambda now: len(set(now) - before) >= alive, "%d processes of %s" % (alive, script)
            )
        )
        - before
    )


def bystander(namespace, script, env=None):
    """Start a process that has to live, and return its pid once it is ready."""
    before = set(namespace.processes())
    read_lines(namespace.spawn(["/bin/sh", "-c", script], env=env), 1)
    new = set(namespace.processes()) - before
    assert len(new) == 1
    return new.pop()


def bash(folder, script, name="script"):
    """Return the command that runs this script, below a root."""
    (folder / name).write_text(script)
    return "bash %s; true" % (folder / name)


def kill(namespace, **options):
    """Run the kill pass, and return its report."""
    options.setdefault("timeout", 10.0)
    options.setdefault("arrival_timeout", 0.3)
    output, dummy = namespace.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            MAIN,
            *request_words(KillRequest(RUN, LEASE, "n0", **options)),
        ]
    )
    lines = [line for line in output.splitlines() if line]
    assert len(lines) == 1
    assert lines[0].startswith("TREEKILL-REPORT n0 {")
    return json.loads(lines[0].split(" ", 2)[2])


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_nothing_of_a_tree_is_left(namespace, kind):
    need(kind)
    stranger = bystander(namespace, "echo ready; exec sleep 1000")
    start(namespace, kind.script, kind.ready, kind.alive)

    def once():
        report = kill(namespace, timeout=0.5 if kind.resists else 20.0)
        return report, report["survivors"]

    reports = end(kind, lambda: set(namespace.processes()) != {stranger}, once)
    gone = {row["pid"]: row for report in reports for row in report["gone"]}
    assert stranger not in gone
    assert len(gone) >= kind.alive - 1
    assert ("KILL" in {row["ended"] for row in gone.values()}) == kind.resists


MODULE_UTILS = "ansible_collections.treekill.remote.plugins.module_utils."
POORER_HOSTS = {
    "no pidfd": "_process.signaller as module; module._pidfd_works = lambda: False",
    "kernel without lists of children": (
        "_process.proc as module; module.ProcTable._lists_children = property(lambda self: "
        "False, lambda self, value: None)"
    ),
    "kernel that does not show the newest pid": (
        "_process.proc as module; module.ProcTable.last_pid = lambda self: None"
    ),
    "no /proc": "_process.proc as module; module.ProcTable.usable = property(lambda self: False)",
}


@pytest.mark.parametrize("poorer", sorted(POORER_HOSTS))
@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in KINDS
        if kind.name in ("background", "daemon beside the root", "starts another on TERM")
    ],
    ids=repr,
)
def test_nothing_of_a_tree_is_left_on_poorer_hosts(namespace, kind, poorer, monkeypatch):
    monkeypatch.setitem(
        globals(),
        "MAIN",
        MAIN.replace(
            "from ansible", "import %s%s; from ansible" % (MODULE_UTILS, POORER_HOSTS[poorer])
        ),
    )
    stranger = bystander(namespace, "echo ready; exec sleep 1000")
    start(namespace, kind.script, kind.ready, kind.alive)
    report = kill(namespace, timeout=1.0 if kind.resists else 20.0)
    assert set(namespace.processes()) == {stranger}
    assert report["survivors"] == []
    assert report["method"] == ("ps" if poorer == "no /proc" else "proc")


def test_nothing_found_is_said(namespace):
    report = kill(namespace)
    assert (report["root"], report["gone"], report["survivors"], report["method"]) == (
        None,
        [],
        [],
        "proc",
    )
    assert report["seconds"] >= 0.3


def test_the_report_shows_the_tree_as_it_stood(namespace):
    tree = start(
        namespace, "sh -c 'sh -c \"echo ready; exec sleep 1000\"; true' 'a name'; true", alive=3
    )
    report = kill(namespace)
    rows = {row["pid"]: row for row in report["gone"]}
    assert set(rows) == tree
    root = report["root"]["pid"]
    assert report["root"]["ppid"] == rows[root]["ppid"] > 1
    child = next(row for row in report["gone"] if row["ppid"] == root)
    grandchild = next(row for row in report["gone"] if row["ppid"] == child["pid"])
    assert [rows[root]["role"], child["role"], grandchild["role"]] == ["root", "child", "child"]
    assert grandchild["command"] == "sleep 1000"
    assert (
        child["command"]
        .replace("\0", " ")
        .startswith('sh -c sh -c "echo ready; exec sleep 1000"; true a name')
    )
    assert {row["ended"] for row in report["gone"]} == {"TERM"}
    assert {row["user"] for row in report["gone"]} == {"root"}


def test_command_lines_stay_on_the_host_when_told_so(namespace):
    start(namespace, "sh -c 'echo ready; sleep 1000; true' password=secret; true", alive=3)
    report = kill(namespace, arguments=False)
    assert {row["command"] for row in report["gone"]} == {"sh", "sleep"}


@pytest.mark.parametrize(
    ("script", "environment"),
    [
        ("exec sleep 1000", {}),
        ("exec sleep 1000", {"X": "TREEKILL=%s/%s/1/1" % (RUN, LEASE)}),
        ("exec sleep 1000", {"X": "a\nTREEKILL=%s/%s/1/1" % (RUN, LEASE)}),
        ("exec sleep 1000", {"MYTREEKILL": "%s/%s/1/1" % (RUN, LEASE)}),
        ("exec sleep 1000", {"TREEKILL": "%s/%s/1/1" % (RUN, "00000000")}),
        ("exec sleep 1000", {"TREEKILL": "%s/%s/1/1" % ("0" * 16, LEASE)}),
        ("exec sleep 1000", {"TREEKILL": "spare"}),
        ("exec sleep 1000", {"TREEKILL": "%s/%s" % (RUN, LEASE)}),
        (": TREEKILL=%s/%s/17/4; while :; do read x; done <&2" % (RUN, LEASE), {}),
        (": 'TREEKILL=%s/%s/$$/$PPID'; while :; do read x; done <&2" % (RUN, LEASE), {}),
    ],
)
def test_what_only_looks_like_the_tree_lives(namespace, tmp_path, script, environment):
    idle = namespace.spawn(["sleep", "1000"])
    namespace.wait_for(
        lambda now: [process.arguments[0] for process in now.values()] == ["sleep"],
        "the first bystander",
    )
    assert idle.poll() is None
    os.mkfifo(str(tmp_path / "never"))
    command = ["/bin/sh", "-c", 'exec 2<>"$0"; echo ready; ' + script, str(tmp_path / "never")]
    shell = namespace.spawn(command, env=dict({"PATH": "/usr/bin:/bin"}, **environment))
    read_lines(shell, 1)
    namespace.wait_for(lambda now: len(now) == 2, "the bystanders")
    tree = start(namespace, "sh -c 'echo ready; exec sleep 1000'; true", alive=2)
    strangers = set(namespace.processes()) - tree
    assert len(strangers) == 2
    report = kill(namespace)
    assert {row["pid"] for row in report["gone"]} == tree
    assert set(namespace.processes()) == strangers


def test_a_forged_cookie_names_no_victim(namespace):
    victim = bystander(namespace, "echo ready; exec sleep 1000")
    above = namespace.spawn(
        [
            "/bin/sh",
            "-c",
            'sh -c "$0"; true',
            "export %s; env TREEKILL=%s/%s/%d/1 sh -c 'echo ready; exec sleep 1000'; true"
            % (COOKIE, RUN, LEASE, victim),
        ]
    )
    read_lines(above, 1)
    namespace.wait_for(lambda now: len(now) == 4, "victim, shell above, root, child")
    report = kill(namespace)
    assert len(report["gone"]) == 2
    namespace.wait_for(lambda now: set(now) == {victim}, "the shell above ends by itself")


def test_what_stands_above_the_root_is_not_touched(namespace):
    script = "export %s; sh -c 'echo ready; exec sleep 1000'; true" % COOKIE
    above = "/bin/sh -c '%s'; echo above is alive; exec sleep 1000" % script.replace("'", "'\"'\"'")
    shell = namespace.spawn(["/bin/sh", "-c", above])
    read_lines(shell, 1)
    namespace.wait_for(lambda now: len(now) == 3, "login shell, root, child")
    report = kill(namespace)
    assert len(report["gone"]) == 2
    read_lines(shell, 1, b"above is alive\n")
    namespace.wait_for(
        lambda now: [process.arguments for process in now.values()] == [["sleep", "1000"]],
        "what the shell above becomes",
    )


def test_a_cookie_that_names_the_login_shell_does_not_end_it(namespace):
    script = "export %s; env TREEKILL=%s/%s/$PPID/1 sh -c 'echo ready; exec sleep 1000'; true" % (
        COOKIE,
        RUN,
        LEASE,
    )
    above = "/bin/sh -c '%s'; echo above is alive; exec sleep 1000" % script.replace("'", "'\"'\"'")
    shell = namespace.spawn(["/bin/sh", "-c", above])
    read_lines(shell, 1)
    namespace.wait_for(lambda now: len(now) == 3, "login shell, root, child")
    report = kill(namespace)
    assert len(report["gone"]) == 2
    read_lines(shell, 1, b"above is alive\n")


def test_a_spared_process_and_what_it_starts_live(namespace):
    tree = start(
        namespace,
        "TREEKILL=spare sh -c 'env -i sleep 1001 & echo ready; sleep 1002; true' & sh -c 'echo "
        "ready; exec sleep 1000' & wait",
        2,
        5,
    )

    def seen(now):
        return {
            pid
            for pid, process in now.items()
            if process.arguments[-1].startswith(("1001", "1002", "env -i sleep 1001"))
        }

    spared = seen(namespace.wait_for(lambda now: len(seen(now)) == 3, "those that are spared"))
    report = kill(namespace)
    assert {row["pid"] for row in report["spared"]} == spared
    assert {row["pid"] for row in report["gone"]} == tree - spared
    assert set(namespace.processes()) == spared
    assert "T" not in {process.state for process in namespace.processes().values()}


def test_signals_go_to_root_and_children_as_asked(namespace):
    script = (
        "trap 'exit 5' USR1; sh -c 'trap \"echo child got USR2; exit\" USR2; echo ready; while :; "
        "do sleep 1000 & wait; done' & wait"
    )
    shell = namespace.spawn(["/bin/sh", "-c", "export %s; %s" % (COOKIE, script)])
    read_lines(shell, 1)
    namespace.wait_for(lambda now: len(now) == 3, "root, child, sleep")
    report = kill(namespace, signal=int(signal.SIGUSR1), children_signal=int(signal.SIGUSR2))
    assert {(row["role"], row["ended"]) for row in report["gone"]} == {
        ("root", "USR1"),
        ("child", "USR2"),
    }
    assert shell.wait() == 5
    assert b"child got USR2\n" in shell.stdout.read()


@pytest.mark.parametrize("poorer", ["", *sorted(POORER_HOSTS)])
@pytest.mark.parametrize("condition", ["EXIT", "TERM"])
def test_what_cleans_up_by_other_programs_has_the_grace_for_it(
    namespace, tmp_path, monkeypatch, condition, poorer
):
    """A script that removes its temporary files when it ends does so."""
    if poorer:
        monkeypatch.setitem(
            globals(),
            "MAIN",
            MAIN.replace(
                "from ansible", "import %s%s; from ansible" % (MODULE_UTILS, POORER_HOSTS[poorer])
            ),
        )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    clean = "sleep 0.2 && sh -c 'sleep 0.2; true' && rm -r %s; exit 1" % scratch
    start(
        namespace,
        bash(
            tmp_path, 'trap "%s" %s; echo ready; while :; do sleep 1000; done' % (clean, condition)
        ),
        alive=3,
    )
    report = kill(namespace, timeout=50.0)
    assert not scratch.exists()
    assert not namespace.processes()
    assert {row["command"]: row["ended"] for row in report["gone"]}["sleep 1000"] == "TERM"
    assert "KILL" not in {row["ended"] for row in report["gone"]}
    assert 0.4 <= report["seconds"] < 50, "the grace is not waited for"


def test_what_is_started_to_clean_up_and_does_not_end_is_killed_after_the_grace(
    namespace, tmp_path
):
    start(
        namespace,
        bash(tmp_path, 'trap "sleep 1000" EXIT; echo ready; while :; do sleep 1001; done'),
        alive=3,
    )
    report = kill(namespace, timeout=0.5)
    assert not namespace.processes()
    assert {row["command"]: row["ended"] for row in report["gone"]}["sleep 1000"] == "KILL"


def test_children_are_left_when_only_the_root_is_to_go(namespace):
    start(namespace, "sh -c 'echo ready; exec sleep 1000' & wait", alive=2)
    report = kill(namespace, children=False)
    assert [row["role"] for row in report["gone"]] == ["root"]
    assert [(row["role"], row["reason"], row["ended"]) for row in report["survivors"]] == [
        ("child", "left: kill_children is false", None)
    ]
    assert [process.state for process in namespace.processes().values()] == ["S"]


def test_a_child_that_the_root_takes_along_is_gone(namespace):
    start(
        namespace,
        "sh -c 'echo ready; exec sleep 1000' & trap 'kill $!; wait; exit' TERM; wait",
        alive=2,
    )
    report = kill(namespace, children=False)
    assert sorted((row["role"], row["ended"]) for row in report["gone"]) == [
        ("child", "exited"),
        ("root", "TERM"),
    ]
    assert report["survivors"] == []
    assert namespace.processes() == {}


def test_a_parent_that_stops_with_its_child_goes_on(namespace):
    """nsenter stops itself when its command is stopped, as sudo and su do.

    No process in this namespace could wake it.
    """
    shell = namespace.spawn(
        ["/bin/sh", "-c", "export %s; sh -c 'echo ready; exec sleep 1000'; true" % COOKIE],
        bare=True,
    )
    read_lines(shell, 1)
    namespace.wait_for(lambda now: len(now) == 2, "root and child")
    report = kill(namespace)
    assert len(report["gone"]) == 2
    assert shell.wait(timeout=30) != 0


def test_a_command_that_comes_late_is_still_ended(namespace, tmp_path):
    fifo = str(tmp_path / "late")
    os.mkfifo(fifo)
    namespace.spawn(
        [
            "/bin/sh",
            "-c",
            'read x < "$1"; exec /bin/sh -c "$0"',
            "export %s; echo ready; sleep 1000; true" % COOKIE,
            fifo,
        ]
    )
    words = request_words(KillRequest(RUN, LEASE, "n0", arrival_timeout=50.0))
    running = namespace.spawn(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            MAIN.replace("main(sys", "print('looking', flush=True); main(sys"),
            *words,
        ]
    )
    read_lines(running, 1, b"looking\n")
    with open(fifo, "w") as out:
        out.write("go\n")
    report = json.loads(running.communicate(timeout=60)[0].decode().split(" ", 2)[2])
    assert [row["role"] for row in report["gone"]][:1] == ["root"]
    assert namespace.processes() == {}
    assert report["seconds"] < 50, "nor are the seconds in which a command may still come"


def test_the_pass_finishes_when_its_channel_dies(namespace):
    start(namespace, "trap true TERM; echo ready; while :; do sleep 1000; done", alive=2)
    words = request_words(KillRequest(RUN, LEASE, "n0", timeout=2.0))

    def sleeping(now):
        return [pid for pid, process in now.items() if process.arguments == ["sleep", "1000"]]

    # Known before the pass begins: it may end before the pass has looked.
    (first,) = sleeping(namespace.wait_for(sleeping, "the child"))
    running = namespace.spawn([sys.executable, "-I", "-S", "-c", MAIN, *words])
    # The child ends by the first signal. The root ignores it, and starts another child.
    now = namespace.wait_for(lambda now: first not in now, "the first signals")
    running.stdout.close()
    own = next(pid for pid, process in now.items() if "nonce=n0" in process.arguments)
    namespace.run(
        [
            "/bin/sh",
            "-c",
            "for signal in HUP INT TERM QUIT PIPE; do kill -$signal %d || exit 1; done" % own,
        ]
    )
    assert own in namespace.processes()
    namespace.wait_for(lambda now: not now, "the end of the tree and of the pass")


def test_every_lease_of_a_run_can_be_ended_at_once(namespace):
    for lease in ("00000001", "00000002"):
        shell = namespace.spawn(
            [
                "/bin/sh",
                "-c",
                "export TREEKILL=%s/%s/$$/$PPID; sh -c 'echo ready; exec sleep 1000'; true"
                % (RUN, lease),
            ]
        )
        read_lines(shell, 1)
    other = namespace.spawn(
        [
            "/bin/sh",
            "-c",
            "export TREEKILL=%s/%s/$$/$PPID; sh -c 'echo ready; exec sleep 1000'; true"
            % ("f" * 16, LEASE),
        ]
    )
    read_lines(other, 1)
    before = set(namespace.wait_for(lambda now: len(now) == 6, "three trees"))
    output, dummy = namespace.run(
        [sys.executable, "-I", "-S", "-c", MAIN, *request_words(KillRequest(RUN, "*", "n0"))]
    )
    report = json.loads(output.split(" ", 2)[2])
    assert len(report["gone"]) == 4
    assert [row["role"] for row in report["gone"]].count("root") == 2
    assert set(namespace.processes()) == before - {row["pid"] for row in report["gone"]}


SQUATTER = """
import signal, socket, time
squatter = socket.socket(socket.AF_UNIX)
squatter.bind("\\0treekill/%s/%s")
squatter.listen(8)
print("ready", flush=True)
kept = [squatter.accept() for dummy in range(8)]
""" % (
    RUN,
    LEASE,
)


def test_a_job_that_takes_the_name_of_the_lease_has_the_grace_and_no_more(namespace):
    """It is asked for its report as if it were a supervisor at work."""
    start(namespace, python(SQUATTER) + "; true", alive=2)
    report = kill(namespace, timeout=0.5)
    assert not namespace.processes()
    assert report["survivors"] == []
    assert report["seconds"] < 20


PRIORITIES = (
    """
import os, sys, time
sys.path[:] = %r
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.main import detach
from ansible_collections.treekill.remote.plugins.module_utils._process.real_time import (
    RealTimeScheduling,
)
from ansible_collections.treekill.remote.plugins.module_utils._process import run_command
policy = "os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK, os.nice(0)"
tell = [sys.executable, "-c", "import os; print(%%s)" %% policy]
def told():
    child = run_command.run_command(tell, b"", time.monotonic() + 60)[0].strip()
    return eval(policy) + (child,)
detach()
before = told()
with RealTimeScheduling():
    with RealTimeScheduling():
        pass
    hunting = told()
print(before, hunting, told() == before)
"""
    % PROJECT_PATHS
)


@pytest.mark.skipif(os.geteuid() != 0, reason="root's right alone")
def test_the_pass_has_the_first_turn_while_it_hunts_and_what_it_starts_never(namespace):
    output, dummy = namespace.run([sys.executable, "-c", PRIORITIES])
    other, round_robin = os.SCHED_OTHER, os.SCHED_RR
    assert output.strip() == "(%d, -20, '%d 0') (%d, -20, '%d 0') True" % (
        other,
        other,
        round_robin,
        other,
    )
