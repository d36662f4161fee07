# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signals to the process that the shell knows as the module's reach the module, each once."""

from __future__ import annotations

import ast
import fcntl
import os
import pty
import signal
import subprocess
import termios
from pathlib import Path

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._supervisor import FORWARDED

from tests.unit.plugins.plugin_utils.supervised import PATIENCE, Module

# It notes what arrives, and answers to the last one with all that came. WINCH changes nothing for who does not wait for it.
COUNTS = """
import os, signal, sys
counts = {}
def note(number, dummy):
    counts[number] = counts.get(number, 0) + 1
for name in %r:
    signal.signal(getattr(signal, name), note)
done, wake = os.pipe()
signal.signal(signal.SIGUSR2, lambda *dummy: os.write(wake, b"x"))
os.write(1, b"%%d %%d\\n" %% (os.getppid(), os.getpid()))
while True:
    os.read(done, 1)
    os.write(1, repr(counts).encode() + b"\\n")
    counts.clear()
""" % ([name for name in FORWARDED if name != "SIGUSR2"],)


class Counting:
    """A supervised module that counts signals. shell: the process that sshd starts; supervisor, module: pids."""

    def __init__(self, argv, **options):
        options.setdefault("start_new_session", True)
        self.shell = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **options)
        self.supervisor, self.module = map(int, self.shell.stdout.readline().split())

    def counts(self):
        """What came since the last time. Asked by way of the supervisor, which passes on in order what it passes on."""
        os.kill(self.supervisor, signal.SIGUSR2)
        return ast.literal_eval(self.shell.stdout.readline().decode())

    def end(self):
        if self.shell.poll() is None:
            os.kill(self.module, signal.SIGKILL)
        self.shell.wait(PATIENCE)
        self.shell.stdout.close()


@pytest.fixture
def start():
    """Starts a module that counts signals, and ends it with the test."""
    started = []

    def start_one(argv, **options):
        started.append(Counting(argv, **options))
        return started[-1]

    yield start_one
    for running in started:
        running.end()


@pytest.fixture
def counting(start, tmp_path):
    return start(Module(COUNTS, tmp_path).argv(True))


@pytest.mark.parametrize("name", [name for name in FORWARDED if name != "SIGUSR2"])
def test_a_signal_to_the_supervisor_reaches_the_module_once(counting, name):
    number = getattr(signal, name)
    for dummy in range(5):
        os.kill(counting.supervisor, number)
        assert counting.counts() == {number: 1}


def test_a_signal_to_the_group_reaches_the_module_once(start, tmp_path):
    """The shell above lives through it."""
    running = start(["/bin/sh", "-c", b"trap : INT USR1; " + Module(COUNTS, tmp_path).shell(True)])
    for dummy in range(5):
        for number in (signal.SIGINT, signal.SIGUSR1):
            os.killpg(running.shell.pid, number)
            assert running.counts() == {number: 1}


def test_a_signal_to_a_group_whose_first_is_the_supervisor_itself(start, tmp_path):
    """The last command of a shell takes its place."""
    running = start(Module(COUNTS, tmp_path).alone(True), start_new_session=False, preexec_fn=lambda: os.setpgid(0, 0))
    assert running.shell.pid == running.supervisor == os.getpgid(running.module)
    for dummy in range(5):
        os.killpg(running.supervisor, signal.SIGINT)
        assert running.counts() == {signal.SIGINT: 1}
        os.kill(running.supervisor, signal.SIGINT)
        assert running.counts() == {signal.SIGINT: 1}


def test_control_c_at_the_terminal_reaches_the_module_once(tmp_path):
    master, slave = pty.openpty()

    def take():
        os.setsid()
        for number in (0, 1, 2):
            os.dup2(slave, number)
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(["/bin/sh", "-c", b"trap : INT; " + Module(COUNTS, tmp_path).shell(True)], preexec_fn=take)
    os.close(slave)
    with os.fdopen(master, "r+b", buffering=0) as terminal:

        def line():
            found = b""
            while not found.endswith(b"\n"):
                found += terminal.read(1)
            return found.replace(b"^C", b"").strip()

        supervisor, module = map(int, line().split())
        for dummy in range(5):
            terminal.write(b"\x03")
            # The terminal's driver signals the group before it echoes anything.
            while terminal.read(1) != b"C":
                pass
            os.kill(supervisor, signal.SIGUSR2)
            assert line() == b"{2: 1}"
        os.kill(module, signal.SIGKILL)
        process.wait(PATIENCE)


def test_a_signal_ignored_from_the_start_still_reaches_a_module_that_asks_for_it(start, tmp_path):
    """nohup, and a module that takes the signal all the same: as it would without a supervisor."""
    running = start(Module(COUNTS, tmp_path).argv(True), preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    os.kill(running.supervisor, signal.SIGHUP)
    assert running.counts() == {signal.SIGHUP: 1}


@pytest.mark.parametrize("name", [name for name in FORWARDED if name != "SIGINT"])
def test_a_module_that_takes_no_signal_dies_of_it_as_ever(start, tmp_path, name):
    module = Module("import os, signal\nos.write(1, b'%d %d\\n' % (os.getppid(), os.getpid()))\nsignal.pause()", tmp_path)
    running = start(module.argv(True))
    os.kill(running.supervisor, getattr(signal, name))
    assert running.shell.wait(PATIENCE) == 128 + getattr(signal, name)


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGTSTP])
def test_a_module_that_is_stopped_and_goes_on(start, tmp_path, number):
    """The supervisor is not told of it, and waits."""
    running = start(Module(COUNTS, tmp_path).argv(True))
    os.kill(running.module, number)
    while b"State:\tT" not in Path(f"/proc/{running.module}/status").read_bytes():
        pass
    os.kill(running.supervisor, signal.SIGUSR1)
    os.kill(running.module, signal.SIGCONT)
    assert running.counts() == {signal.SIGUSR1: 1}
