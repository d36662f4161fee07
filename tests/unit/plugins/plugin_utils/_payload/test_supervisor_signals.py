# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signals to the process that the shell takes for the module.

They reach the module, each once.
"""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import termios
from pathlib import Path

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._supervisor.libc import FORWARDED

from tests.unit.plugins.plugin_utils.supervised import PATIENCE, Module

#: Prints each signal that arrives, in the order of their arrival.
SAYS = r"""
import os, signal
signals = [getattr(signal, name) for name in %r]
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
os.write(1, b"%%d %%d\n" %% (os.getppid(), os.getpid()))
while True:
    os.write(1, b"%%d\n" %% signal.sigwaitinfo(signals).si_signo)
""" % (FORWARDED,)


class Listening:
    """A supervised module that prints its signals.

    shell: the process that sshd starts; supervisor, module: pids. read: the end that it prints to.
    """

    def __init__(self, argv, read=None, **options):
        options.setdefault("start_new_session", True)
        self.shell = subprocess.Popen(
            argv, **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **options}
        )
        self.read = read or self.shell.stdout
        self.supervisor, self.module = map(int, self.read.readline().split())

    def gets_once(self, number):
        """Whether it gets the signal once.

        A second signal, sent by way of the supervisor, is then the next that comes.
        """
        after = signal.SIGUSR2 if number != signal.SIGUSR2 else signal.SIGUSR1
        first = int(self.read.readline())
        os.kill(self.supervisor, after)
        return (first, int(self.read.readline())) == (number, after)

    def end(self):
        if self.shell.poll() is None:
            os.kill(self.module, signal.SIGKILL)
        self.shell.wait(PATIENCE)
        self.read.close()


@pytest.fixture
def start():
    """Start a module that prints its signals, and end it with the test."""
    started = []

    def start_one(argv, **options):
        started.append(Listening(argv, **options))
        return started[-1]

    yield start_one
    for running in started:
        running.end()


@pytest.fixture
def listening(start, tmp_path):
    return start(Module(SAYS, tmp_path).argv(True))


@pytest.mark.parametrize("name", FORWARDED)
def test_a_signal_to_the_supervisor_reaches_the_module_once(listening, name):
    number = getattr(signal, name)
    for dummy in range(5):
        os.kill(listening.supervisor, number)
        assert listening.gets_once(number)


def test_a_signal_to_the_group_reaches_the_module_once(start, tmp_path):
    """The shell above lives through it."""
    running = start(["/bin/sh", "-c", b"trap : INT USR1; " + Module(SAYS, tmp_path).shell(True)])
    for dummy in range(5):
        for number in (signal.SIGINT, signal.SIGUSR1):
            os.killpg(running.shell.pid, number)
            assert running.gets_once(number)


def test_a_signal_to_a_group_whose_first_is_the_supervisor_itself(start, tmp_path):
    """The last command of a shell takes its place."""
    running = start(
        Module(SAYS, tmp_path).alone(True),
        start_new_session=False,
        preexec_fn=lambda: os.setpgid(0, 0),
    )
    assert running.shell.pid == running.supervisor == os.getpgid(running.module)
    for dummy in range(5):
        os.killpg(running.supervisor, signal.SIGINT)
        assert running.gets_once(signal.SIGINT)
        os.kill(running.supervisor, signal.SIGINT)
        assert running.gets_once(signal.SIGINT)


def test_control_c_at_the_terminal_reaches_the_module_once(start, tmp_path):
    master, slave = pty.openpty()
    modes = termios.tcgetattr(slave)
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, modes)

    def take():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    argv = ["/bin/sh", "-c", b"trap : INT; " + Module(SAYS, tmp_path).shell(True)]
    running = start(
        argv,
        read=os.fdopen(master, "rb", buffering=0),
        stdin=slave,
        stdout=slave,
        start_new_session=False,
        preexec_fn=take,
    )
    os.close(slave)
    for dummy in range(5):
        os.write(master, b"\x03")
        assert running.gets_once(signal.SIGINT)


def test_a_signal_ignored_from_the_start_still_reaches_a_module_that_asks_for_it(start, tmp_path):
    """That is so with nohup, and without a supervisor."""
    running = start(
        Module(SAYS, tmp_path).argv(True),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    os.kill(running.supervisor, signal.SIGHUP)
    assert running.gets_once(signal.SIGHUP)


@pytest.mark.parametrize("name", [name for name in FORWARDED if name != "SIGINT"])
def test_a_module_that_takes_no_signal_dies_of_it_as_ever(start, tmp_path, name):
    module = Module(
        "import os, signal\nos.write(1, b'%d %d\\n' % (os.getppid(), os.getpid()))\nsignal.pause()",
        tmp_path,
    )
    running = start(module.argv(True))
    os.kill(running.supervisor, getattr(signal, name))
    assert running.shell.wait(PATIENCE) == 128 + getattr(signal, name)


def test_a_module_that_is_stopped_and_goes_on(start, tmp_path):
    """The supervisor waits with it."""
    running = start(Module(SAYS, tmp_path).argv(True))
    os.kill(running.module, signal.SIGSTOP)
    while b"State:\tT" not in Path(f"/proc/{running.module}/status").read_bytes():
        pass
    os.kill(running.supervisor, signal.SIGUSR1)
    os.kill(running.module, signal.SIGCONT)
    assert running.gets_once(signal.SIGUSR1)
