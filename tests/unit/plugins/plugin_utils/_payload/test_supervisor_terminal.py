# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A terminal that is hung up: what the task runs still has its grace period.

The hang-up reaches the leader of the session. If the leader dies, it reaches the whole foreground.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.command_line import (
    OUTLIVES_HANG_UP,
)

from tests.unit.plugins.plugin_utils.supervised import PATIENCE, PYTHON, Module

#: Shells that run such a command line. `busybox` is given its applet.
SHELLS = ("sh", "bash", "dash", "zsh", "ksh93", "mksh", "yash", "busybox")

#: A module that runs a command and reads its output, as most do. The command cleans up on TERM.
CLEANS_UP = """
import subprocess, sys
folder = {folder!r}
clean_up = {first!r} + "sleep 0.3; echo cleaned up; touch " + folder + "/cleaned; exit 0"
command = "trap '" + clean_up + "' TERM; touch " + folder + "/begun; while :; do sleep 0.05; done"
subprocess.run([*{wrapper!r}, "/bin/sh", "-c", command], stdout=subprocess.PIPE)
"""

#: A module that reads what an orphan writes. The orphan ignores TERM, and the module handles it.
READS_FROM_ONE_THAT_IGNORES = """
import os, signal, subprocess, sys
folder = {folder!r}
def on_term(number, frame):
    open(folder + "/cleaned", "w").close()
    sys.exit(1)
signal.signal(signal.SIGTERM, on_term)
command = "(trap '' TERM; touch " + folder + "/begun; exec sleep 1000) &"
child = subprocess.Popen(["/bin/sh", "-c", command], stdout=subprocess.PIPE)
child.wait()
child.stdout.read()
"""

#: As sudo with `use_pty`: its command has a group of its own, and gets the HUP of the terminal.
MONITOR = """
import os, signal, sys
child = os.fork()
if not child:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execvp(sys.argv[1], sys.argv[1:])
signal.signal(signal.SIGHUP, lambda number, frame: os.killpg(child, number))
status = os.waitpid(child, 0)[1]
sys.exit(128 + status % 128 if status % 128 else status // 256)
"""


@dataclass
class OnTerminal:
    """A command with a terminal, as sshd starts it."""

    leader: subprocess.Popen[bytes]
    master: int

    def hang_up(self) -> None:
        os.close(self.master)
        self.master = -1


@contextmanager
def on_terminal(argv: list[str | bytes], monitored: bool = False) -> Iterator[OnTerminal]:
    master, slave = os.openpty()
    one = OnTerminal(
        subprocess.Popen(
            [sys.executable, "-c", MONITOR, *argv] if monitored else argv,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        ),
        master,
    )
    os.close(slave)
    try:
        yield one
    finally:
        if one.master >= 0:
            one.hang_up()
        try:
            one.leader.wait(PATIENCE)
        finally:
            one.leader.kill()


def argv_of(shell: str) -> list[str | bytes]:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"there is no {shell} here")
    return [found, "sh", "-c"] if shell == "busybox" else [found, "-c"]


def line_of(module: Module, trap: bool, supervised: bool = True) -> bytes:
    before, after = module.shell(supervised).split(b"; ", 1)
    return before + b"; " + (OUTLIVES_HANG_UP.encode() if trap else b"") + after


def cleans_up(tmp_path, *wrapper: str, first: str = "") -> Module:
    text = CLEANS_UP.format(folder=str(tmp_path), wrapper=wrapper, first=first)
    return Module(text, tmp_path)


def wait_for(path) -> None:
    until = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < until, f"there is no {path.name}"
        time.sleep(0.01)


def is_cleaned_up(tmp_path, argv, monitored=False) -> bool:
    with on_terminal(argv, monitored) as one:
        wait_for(tmp_path / "begun")
        one.hang_up()
        one.leader.wait(PATIENCE)
    return (tmp_path / "cleaned").exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_below_a_shell_that_outlives_it(tmp_path, shell):
    module = cleans_up(tmp_path)
    assert is_cleaned_up(tmp_path, [*argv_of(shell), line_of(module, trap=True)])


def test_below_a_shell_that_dies_of_it_the_clean_up_is_cut_off(tmp_path):
    """The control."""
    module = cleans_up(tmp_path)
    assert not is_cleaned_up(tmp_path, [*argv_of("sh"), line_of(module, trap=False)])


def test_a_module_reads_what_its_command_writes_after_the_end_of_a_wrapper_between_them(tmp_path):
    """The wrapper dies of its signal. Without a reader, so would the command at its next output."""
    module = cleans_up(tmp_path, "setsid", "--fork", "--wait")
    assert is_cleaned_up(tmp_path, [*argv_of("sh"), line_of(module, trap=True)])


def test_a_module_reads_what_its_command_writes_while_that_ignores_more_signals(tmp_path):
    """It did not ignore its first one."""
    module = cleans_up(tmp_path, "setsid", "--fork", "--wait", first='trap "" TERM; ')
    assert is_cleaned_up(tmp_path, [*argv_of("sh"), line_of(module, trap=True)])


def test_a_module_gets_its_signal_though_an_orphan_that_ignores_it_holds_its_pipe(tmp_path):
    text = READS_FROM_ONE_THAT_IGNORES.format(folder=str(tmp_path))
    module = Module(text, tmp_path, timeout=2.0)
    assert is_cleaned_up(tmp_path, [*argv_of("sh"), line_of(module, trap=True)])


@pytest.mark.parametrize("supervised", [True, False])
def test_below_a_program_that_passes_it_on_to_the_group_of_its_command(tmp_path, supervised):
    """Without a supervisor, as the control, the command is in that group."""
    module = cleans_up(tmp_path)
    argv = [*argv_of("sh"), line_of(module, trap=True, supervised=supervised)]
    assert is_cleaned_up(tmp_path, argv, monitored=True) is supervised


#: Prints whether it is in the foreground, may begin a session, and gets HUP by default; then what
#: it reads from its terminal.
VIEW = """
import os, signal, sys
seen = [os.tcgetpgrp(0) == os.getpgrp(), signal.getsignal(signal.SIGHUP) == signal.SIG_DFL]
seen.append(signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, []))
print("ready", flush=True)
seen.append(sys.stdin.readline())
os.setsid()
print(seen, os.getsid(0) == os.getpid(), flush=True)
sys.exit(3)
"""


@pytest.mark.parametrize("supervised", [True, False])
@pytest.mark.parametrize("monitored", [True, False])
def test_an_undisturbed_module_has_its_terminal_in_the_foreground(tmp_path, monitored, supervised):
    module = Module(VIEW, tmp_path)
    argv = [*argv_of("sh"), line_of(module, trap=supervised, supervised=supervised)]
    with on_terminal(argv, monitored) as one:
        output = b""
        while b"ready" not in output:
            output += os.read(one.master, 4096)
        os.write(one.master, b"hello\n")
        while b"\n[" not in output or not output.endswith(b"True\r\n"):
            output += os.read(one.master, 4096)
        assert b"[True, True, True, 'hello\\n'] True" in output
        assert one.leader.wait(PATIENCE) == 3


#: Stops itself as Ctrl-Z does, and says when it goes on.
STOPS_ITSELF = """
import os, signal
print("pid", os.getpid(), flush=True)
os.kill(os.getpid(), signal.SIGTSTP)
print("went on", flush=True)
"""


@pytest.mark.parametrize("supervised", [True, False])
def test_a_stop_from_the_terminal_is_ignored_below_use_pty_as_the_limits_say(tmp_path, supervised):
    """Without a supervisor, as the control, the module stays stopped."""
    module = Module(STOPS_ITSELF, tmp_path)
    argv = [*argv_of("sh"), line_of(module, trap=supervised, supervised=supervised)]
    with on_terminal(argv, monitored=True) as one:
        output = b""
        while not output.endswith(b"\r\n"):
            output += os.read(one.master, 4096)
        pid = int(output.split()[1])
        if not supervised:
            until = time.monotonic() + PATIENCE
            while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
                assert time.monotonic() < until
                time.sleep(0.01)
            os.kill(pid, signal.SIGCONT)
        while b"went on" not in output:
            output += os.read(one.master, 4096)
        assert one.leader.wait(PATIENCE) == 0


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_with_the_trap_changes_nothing_for_what_it_runs(shell):
    """Not even if SIGHUP comes: the command has its time, and its status is that of the shell."""
    view = (
        "import os, signal, sys; assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL; "
        "os.kill(os.getppid(), signal.SIGHUP); import time; time.sleep(0.1); sys.exit(3)"
    )
    line = f'{OUTLIVES_HANG_UP}{PYTHON} -c "{view}"'
    done = subprocess.run(
        [*argv_of(shell), f"{line}; echo went on"],
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, b"", b"")


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shell != "zsh"])
def test_an_ignored_hang_up_stays_ignored_below_the_trap(shell):
    """As below nohup."""
    view = "import signal; assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN"
    done = subprocess.run(
        [*argv_of(shell), f'{OUTLIVES_HANG_UP}{PYTHON} -c "{view}"'],
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0
