# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A supervisor and its channel.

If the channel breaks, it ends the tree, in good order and soon. If the channel does not break, or
is not to be watched, it ends nothing.
"""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import socket
import subprocess
import termios
import time

import pytest

from tests.unit.plugins.plugin_utils.supervised import PATIENCE, PYTHONS, Module, both

#: Seconds of grace that no test here waits for: what ends has not waited for them either.
#: `tests/timing` measures how soon it ends.
GRACE = 20 * PATIENCE
#: Seconds in which a supervisor that is not to end a tree has every chance to do so.
BAR = 0.3

TREE = (
    "import subprocess, sys\n"
    "orphans = '(sleep 1003 &) ; (env -i setsid sleep 1004 &) ; '\n"
    "script = 'sleep 1001 & setsid sleep 1002 & ' + orphans + 'wait'\n"
    "subprocess.Popen(['sh', '-c', script], stdin=subprocess.DEVNULL)\n"
    "sys.stdin.close()\nsys.stdout.write('ready\\n'); sys.stdout.flush()\n"
    "import time; time.sleep(1000)"
)


#: The process that keeps the report.
KEEPER = "treekill: report"


def keepers(now):
    """Return the pids of the processes that keep a report."""
    return [pid for pid, process in now.items() if process.arguments[0].startswith(KEEPER)]


def tree_of(now):
    """Return all processes but the one that keeps the report."""
    return {pid: process for pid, process in now.items() if pid not in keepers(now)}


def sleeps(now):
    return sorted(
        process.arguments[1] for process in now.values() if process.arguments[0] == "sleep"
    )


def is_complete(now):
    """Whether all are there, and the shells that have left two of them are gone."""
    orphans = [process for process in now.values() if process.arguments[1:] in (["1003"], ["1004"])]
    return sleeps(now) == ["1001", "1002", "1003", "1004"] and all(
        process.ppid not in now or now[process.ppid].arguments[0] != "sh" for process in orphans
    )


def started(namespace, module, supervised=True, **options):
    shell = namespace.spawn(module.argv(supervised), **options)
    if "stdout" not in options:
        assert shell.stdout.readline() == b"ready\n"
    namespace.wait_for(is_complete, "the tree")
    return shell


def ends(namespace):
    """Return the seconds until the tree is gone."""
    began = time.monotonic()
    namespace.wait_for(lambda now: not tree_of(now), "the end of the tree")
    return time.monotonic() - began


@pytest.mark.parametrize("detaches", [False, True], ids=["a module", "an asynchronous one"])
def test_the_process_that_keeps_the_report_holds_nothing_up(namespace, tmp_path, detaches):
    """It stays for a while. Nothing of the task, and no shutdown of its host, waits for it."""
    module = Module(TREE, tmp_path, detaches=detaches)
    shell = started(namespace, module, stderr=subprocess.PIPE, cwd=tmp_path)
    shell.stdout.close()
    shell.stderr.close()
    ends(namespace)
    (pid,) = keepers(namespace.processes())
    shown = f"cd /proc/{pid} && readlink cwd fd/* && grep SigIgn status"
    cwd, *opened, ignored = namespace.run(["sh", "-c", shown])[0].splitlines()
    assert cwd == "/"
    assert opened[:3] == ["/dev/null"] * 3
    assert [text.partition(":")[0] for text in opened[3:]] == ["socket"]
    of_a_group = [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM]
    assert not int(ignored.split()[1], 16) & sum(1 << number - 1 for number in of_a_group)
    namespace.run(["kill", "-TERM", str(pid)])
    namespace.wait_for(lambda now: not now, "the end of the report")


@pytest.mark.parametrize("python", PYTHONS)
def test_a_pipe_that_has_lost_its_reader_ends_the_tree_on_every_python(namespace, tmp_path, python):
    shell = started(namespace, Module(TREE, tmp_path, python=PYTHONS[python], timeout=GRACE))
    shell.stdout.close()
    ends(namespace)


def test_without_a_supervisor_the_tree_lives_on(namespace, tmp_path):
    """The control."""
    shell = started(namespace, Module(TREE, tmp_path), supervised=False)
    before = set(namespace.processes())
    shell.stdout.close()
    namespace.run(["sleep", str(BAR)])
    assert set(namespace.processes()) == before


@pytest.mark.parametrize("which", ["stdout", "stderr"])
def test_either_stream_will_do(namespace, tmp_path, which):
    shell = started(namespace, Module(TREE, tmp_path), stderr=subprocess.PIPE)
    getattr(shell, which).close()
    ends(namespace)


def test_a_socket(namespace, tmp_path):
    ours, theirs = socket.socketpair()
    # Shells take only descriptors of one digit.
    shell = namespace.spawn(
        Module(TREE, tmp_path, after=">&9 2>&1").argv(True),
        pass_fds=[9],
        preexec_fn=lambda: os.dup2(theirs.fileno(), 9),
    )
    theirs.close()
    ours.shutdown(
        socket.SHUT_WR
    )  # the end of standard input, where both are one: it breaks nothing
    assert ours.recv(6) == b"ready\n"
    namespace.wait_for(lambda now: len(sleeps(now)) == 4, "the tree")
    assert shell.poll() is None
    ours.close()
    ends(namespace)


def test_a_terminal_that_is_hung_up(namespace, tmp_path):
    master, slave = pty.openpty()

    def take():
        os.setsid()
        os.dup2(slave, 1)
        os.dup2(slave, 2)
        fcntl.ioctl(1, termios.TIOCSCTTY, 0)

    module = Module(TREE, tmp_path, timeout=GRACE)
    command = [*namespace._enter, *module.argv(True)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=take)
    os.close(slave)
    namespace.wait_for(lambda now: len(sleeps(now)) == 4, "the tree")
    os.close(master)
    ends(namespace)
    process.wait(PATIENCE)


@pytest.mark.parametrize("broken", [True, False], ids=["broken", "whole"])
def test_if_the_module_has_ended_before_any_look_the_state_of_the_channel_decides(
    namespace, tmp_path, broken
):
    """A hang-up ends a module that does not expect it.

    What it has left is no daemon that was meant to stay.
    """
    shell = started(namespace, Module(TREE, tmp_path))
    before = namespace.processes()
    (supervisor,) = (
        pid
        for pid, process in before.items()
        if process.arguments[0].startswith("treekill: supervisor")
    )
    (module,) = (
        pid
        for pid, process in before.items()
        if process.ppid == supervisor and process.arguments[-1].endswith("AnsiballZ_probe.py")
    )
    namespace.run(["kill", "-STOP", str(supervisor)])
    namespace.wait_for(lambda now: now[supervisor].state == "T", "a supervisor that stands still")
    if broken:
        shell.stdout.close()
    namespace.run(["kill", "-KILL", str(module)])
    namespace.wait_for(lambda now: module not in now, "the end of the module")
    namespace.run(["kill", "-CONT", str(supervisor)])
    namespace.wait_for(lambda now: supervisor not in now, "the end of the supervisor")
    assert sleeps(namespace.processes()) == ([] if broken else ["1001", "1002", "1003", "1004"])


def test_a_second_run_of_the_same_command_is_another_tree(namespace, tmp_path):
    """A program above may send a command again: both have one cookie but for the root."""
    module = Module(TREE, tmp_path)
    first = started(namespace, module)
    before = set(namespace.processes())
    second = namespace.spawn(module.argv(True))
    assert second.stdout.readline() == b"ready\n"
    namespace.wait_for(lambda now: len(sleeps(now)) == 8, "both trees")
    newer = set(namespace.processes()) - before
    first.stdout.close()
    namespace.wait_for(lambda now: not before & {*tree_of(now)}, "the end of the first tree")
    assert newer <= set(namespace.processes())


@pytest.mark.parametrize("way", ["stdin", "file", "words"])
def test_a_channel_that_is_broken_before_the_start(tmp_path, way):
    witness = tmp_path / "witness"
    text = f"touch {witness}" if way == "words" else f"open({str(witness)!r}, 'w').close()"
    module = Module(text, tmp_path, way)
    for supervised in (True, False):
        reader, writer = os.pipe()
        os.close(reader)
        process = subprocess.Popen(module.argv(supervised), stdin=subprocess.PIPE, stdout=writer)
        os.close(writer)
        process.communicate(module.on_stdin(supervised), timeout=PATIENCE)
        assert (witness.exists(), process.returncode) == ((False, 1) if supervised else (True, 0))


FAREWELLS = {
    "a word": "echo bye; echo bye >&2",
    "more than a pipe holds": (
        "while [ $((n += 1)) -lt 30000 ]; do echo 0123456789012345678901234567890123456789; done"
    ),
}


@pytest.mark.parametrize("farewell", FAREWELLS)
def test_a_process_that_traps_the_signal_can_still_say_goodbye(namespace, tmp_path, farewell):
    """Without a reader its first write would be its last."""
    script = (
        f"trap '{FAREWELLS[farewell]}; : >{tmp_path}/goodbye; exit' TERM; n=0; echo ready; while "
        ":; do sleep 1000 & wait; done"
    )
    shell = namespace.spawn(
        Module(f"import subprocess\nsubprocess.call(['sh', '-c', {script!r}])", tmp_path).argv(True)
    )
    assert shell.stdout.readline() == b"ready\n"
    shell.stdout.close()
    ends(namespace)
    assert (tmp_path / "goodbye").exists()


def test_a_process_that_ignores_the_signal_is_killed_after_the_grace(namespace, tmp_path):
    text = (
        "import subprocess\n"
        "subprocess.call(['sh', '-c', 'trap \"\" TERM HUP INT; echo ready; while :; do sleep "
        "1000; done'])"
    )
    shell = namespace.spawn(Module(text, tmp_path, timeout=0.5).argv(True))
    assert shell.stdout.readline() == b"ready\n"
    shell.stdout.close()
    assert ends(namespace) >= 0.5


def ticks(namespace, pid):
    """Return ticks of a clock, for which a process has had the processor."""
    with open(f"{namespace._proc}/{pid}/stat", encoding="ascii") as stat:
        return sum(map(int, stat.read().rpartition(")")[2].split()[11:13]))


def test_a_task_that_cuts_its_own_connection_goes_on(namespace, tmp_path):
    done = tmp_path / "done"
    text = (
        "import sys\nsys.stdout.write('ready\\n'); sys.stdout.flush()\n"
        f"open({str(tmp_path / 'go')!r}).read()\nopen({str(done)!r}, 'w').close()"
    )
    os.mkfifo(tmp_path / "go")
    shell = namespace.spawn(Module(text, tmp_path, keep=True).argv(True))
    assert shell.stdout.readline() == b"ready\n"
    shell.stdout.close()
    before = set(namespace.processes())
    spent = {pid: ticks(namespace, pid) for pid in before}
    namespace.run(["sleep", str(BAR)])
    assert set(namespace.processes()) == before
    # No process checks again and again what is broken: that would take most of the time.
    assert (
        max(ticks(namespace, pid) - spent[pid] for pid in before)
        < BAR * os.sysconf("SC_CLK_TCK") / 3
    )
    (tmp_path / "go").write_text("")
    assert shell.wait(PATIENCE) == 0
    assert done.exists()


def test_such_a_task_starts_though_the_channel_is_broken(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    witness = tmp_path / "witness"
    module = Module(f"open({str(witness)!r}, 'w').close()", tmp_path, keep=True)
    assert (
        subprocess.call(
            module.argv(True), stdin=subprocess.DEVNULL, stdout=writer, timeout=PATIENCE
        )
        == 0
    )
    os.close(writer)
    assert witness.exists()


def test_what_is_spared_lives_on(namespace, tmp_path):
    text = TREE.replace("sleep 1001 &", "TREEKILL=spare sleep 1001 &")
    shell = started(namespace, Module(text, tmp_path))
    shell.stdout.close()
    now = namespace.wait_for(lambda now: len(tree_of(now)) == 1, "the spared one alone")
    assert sleeps(now) == ["1001"]


@pytest.mark.parametrize(
    "redirection", [">/dev/null 2>&1", ">file 2>&1", ">&- 2>&-", "2>/dev/null"]
)
def test_output_that_cannot_break(tmp_path, redirection):
    """A file, nothing, or none is not taken for a broken channel.

    It is not checked again and again either.
    """
    witness = tmp_path / "witness"
    text = (
        "import os\n"
        "def state():\n"
        "    return open('/proc/%d/stat' % os.getppid()).read().rpartition(')')[2].split()[0]\n"
        f"while state() != 'S': pass\n"
        f"open({str(witness)!r}, 'a').write('asleep ')\n"
    )
    supervised, bare = both(
        Module(text, tmp_path, after=redirection.replace("file", str(tmp_path / "out")))
    )
    assert supervised == bare
    assert supervised.status == 0
    assert witness.read_text() == "asleep asleep "


def test_the_end_of_the_output_in_between_is_none(tmp_path):
    """A reader that is slow, or has a full pipe, has not gone."""
    module = Module("import os\nos.write(1, b'x' * 300000)", tmp_path)
    process = subprocess.Popen(module.argv(True), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert len(process.stdout.read()) == 300000
    assert process.wait(PATIENCE) == 0
    process.stdout.close()
