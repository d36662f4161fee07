# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Output does not pass a supervisor, and what a module leaves on purpose outlives both."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._process.title import SUPERVISOR_TITLE

from tests.unit.plugins.plugin_utils.supervised import PATIENCE, Module, both

MEGABYTES = 8


def moved(pid):
    """Return the bytes that a process has read and written, from and to anything."""
    fields = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(fields["rchar"]) + int(fields["wchar"])


def test_output_does_not_pass_through_the_supervisor(tmp_path):
    """It has the descriptors of the shell.

    A supervisor that copies would have moved each byte twice; `tests/timing` measures the speed.
    """
    go = tmp_path / "go"
    os.mkfifo(go)
    text = "import os\nprint(os.getppid(), os.getpid(), flush=True)\n"
    text += (
        f"for number in range({MEGABYTES}):\n    os.write(1, b'x' * (1 << 20))\n"
        f"open({str(go)!r}).read()"
    )
    process = subprocess.Popen(
        Module(text, tmp_path).argv(True), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    supervisor, module = map(int, process.stdout.readline().split())
    deadline = time.monotonic() + PATIENCE
    while (
        not Path(f"/proc/{supervisor}/cmdline").read_bytes().startswith(SUPERVISOR_TITLE.encode())
    ):
        assert time.monotonic() < deadline, "the supervisor does not show its title"
        time.sleep(0.01)
    before = moved(supervisor)
    assert len(process.stdout.read(MEGABYTES << 20)) == MEGABYTES << 20
    assert moved(supervisor) - before < 1 << 20
    assert moved(module) >= MEGABYTES << 20, "the control"
    go.write_text("")
    assert process.stdout.read() == b""
    assert process.wait(PATIENCE) == 0
    process.stdout.close()


def test_both_streams_arrive_whole_and_in_order(tmp_path):
    text = "import os\nfor number in range(20000):\n    os.write(1 + number % 2, b'%d\\n' % number)"
    supervised, bare = both(Module(text, tmp_path))
    assert supervised == bare
    assert len(supervised.out.splitlines()) == len(supervised.err.splitlines()) == 10000


#: Ways to leave a process behind, for a shell; it waits for $go.
DAEMONS = {
    "background": "cat $go >&2 &",
    "nohup": "nohup cat $go >/dev/null 2>&1 &",
    "setsid": "setsid cat $go >/dev/null 2>&1 </dev/null &",
    "double fork": "(setsid sh -c 'cat $go & exit' >/dev/null 2>&1 </dev/null &)",
    "clean environment": (
        "(env -i go=$go PATH=\"$PATH\" setsid sh -c 'cat $go >/dev/null & exit' >/dev/null 2>&1 "
        "</dev/null &)"
    ),
    "spared": "TREEKILL=spare cat $go >/dev/null 2>&1 &",
}


def leaving(tmp_path, script):
    """Return a module that leaves a process behind when it has opened its end of the fifo.

    It ends by itself.
    """
    fifo = tmp_path / "go"
    os.mkfifo(fifo)
    return Module(
        "import os, subprocess, sys\n"
        f"subprocess.call(['sh', '-c', {script!r}], env=dict(os.environ, go={str(fifo)!r}))\n"
        "sys.exit(5)",
        tmp_path,
    ), fifo


@pytest.mark.parametrize("name", DAEMONS)
@pytest.mark.parametrize("supervised", [True, False])
def test_what_is_left_behind_on_purpose_lives_on(namespace, tmp_path, name, supervised):
    module, fifo = leaving(tmp_path, DAEMONS[name])
    shell = namespace.spawn(module.argv(supervised))
    # Opening it for writing waits until the daemon has opened it.
    with fifo.open("w"):
        assert shell.wait(PATIENCE) == 5
        now = namespace.wait_for(
            lambda now: [process.arguments for process in now.values()] == [["cat", str(fifo)]],
            "the daemon alone",
        )
        assert [process.ppid for process in now.values()] == [1]
    namespace.wait_for(lambda now: not now, "the end of the daemon by itself")


@pytest.mark.parametrize("supervised", [True, False])
def test_a_child_that_holds_the_output_delays_its_end_and_not_the_status(tmp_path, supervised):
    module, fifo = leaving(tmp_path, "sh -c 'read line <$go; echo $line' &")
    process = subprocess.Popen(
        module.argv(supervised), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    with fifo.open("w") as go:
        assert process.wait(PATIENCE) == 5
        assert select.select([process.stdout], [], [], 0) == ([], [], [])
        go.write("still here\n")
    assert process.stdout.read() == b"still here\n"
    process.stdout.close()


@pytest.mark.parametrize("supervised", [True, False])
def test_the_output_ends_with_the_last_process_that_has_it(tmp_path, supervised):
    """No process of ours holds it longer, nor a lock, nor a descriptor that was passed on."""
    ours, theirs = socket.socketpair()
    module = Module(
        f"import os\nos.write({theirs.fileno()}, b'x')\n"
        f"os.close(1); os.close(2); os.close({theirs.fileno()})",
        tmp_path,
    )
    process = subprocess.Popen(
        module.argv(supervised),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[theirs.fileno()],
    )
    theirs.close()
    assert (process.stdout.read(), ours.recv(10), ours.recv(10)) == (b"", b"x", b"")
    assert process.wait(PATIENCE) == 0
    process.stdout.close()
    ours.close()


@pytest.mark.parametrize("supervised", [True, False])
def test_a_stopped_group_is_not_hung_up_when_the_supervisor_goes(namespace, tmp_path, supervised):
    """A process that is stopped and loses its last parent in the session would get HUP and CONT."""
    stopped = "setsid sh -c 'kill -STOP $$; exec cat $go' >/dev/null 2>&1 </dev/null &"
    module, fifo = leaving(
        tmp_path, f"{stopped} while ! grep -q 'T (stopped)' /proc/$!/status; do :; done"
    )
    shell = namespace.spawn(module.argv(supervised))
    assert shell.wait(PATIENCE) == 5
    now = namespace.wait_for(lambda now: len(now) == 1, "the stopped one alone")
    assert [process.state for process in now.values()] == ["T"]
    namespace.run(["kill", "-CONT", str(*now)])
    with fifo.open("w"):
        pass
    namespace.wait_for(lambda now: not now, "its end")


def test_the_end_of_a_module_signals_no_process(namespace, tmp_path):
    signals, go = tmp_path / "signals", tmp_path / "go"
    os.mkfifo(go)
    notes = (
        f'for name in HUP INT TERM CONT USR1 PIPE; do trap "echo $name >>{signals}" $name; done; '
        f"echo ready; read line <{go}"
    )
    text = (
        "import subprocess\n"
        f"subprocess.Popen(['sh', '-c', {notes!r}], stdout=subprocess.PIPE).stdout.readline()\n"
    )
    shell = namespace.spawn(Module(text, tmp_path).argv(True))
    with go.open("w"):
        assert shell.wait(PATIENCE) == 0
        namespace.wait_for(lambda now: len(now) == 1, "the child alone")
    namespace.wait_for(lambda now: not now, "its end")
    assert not signals.exists()
