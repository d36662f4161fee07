# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kill order by a terminal: whose terminal gets the size, and which process is told.

The worker is this very process: it has made the terminals. Clients and ControlMasters are programs
that hold them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._lease.window_order import lease_in
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.window_order import (
    FrozenLease,
    order_by_window,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import (
    LocalTable,
    identify,
)

LEASE = "89abcdef"
NO_LEASE = ""
MASTER = "ssh: /home/me/.ansible/cp/0123456789 [mux]"

WAITS = "import sys; print('ready', flush=True); sys.stdin.close(); import time; time.sleep(7200)"


class Scene:
    """Terminals, and programs that hold them. `told`: which processes got which signal."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.told: list[tuple[int, signal.Signals]] = []

    def terminal(self) -> int:
        """Return the end that a program has as its own terminal."""
        master, slave = os.openpty()
        self._stack.callback(os.close, master)
        self._stack.callback(os.close, slave)
        return slave

    def program(
        self, argv: Sequence[str], title: str | None = None, **options: object
    ) -> ProcessId:
        """Run a program, with another title than its path."""
        process = subprocess.Popen(
            [title or argv[0], *argv[1:]],
            executable=argv[0],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            **options,  # type: ignore[call-overload]
        )
        self._stack.callback(process.communicate)
        self._stack.callback(process.kill)
        assert process.stdout.readline() == b"ready\n"
        return identify(process.pid)

    def python(self, title: str | None = None, **options: object) -> ProcessId:
        """Run the program of clients and masters."""
        return self.program([sys.executable, "-c", WAITS], title, **options)

    def order(
        self,
        client: ProcessId,
        lease: str = LEASE,
        worker: int = 0,
        table: LocalTable | None = None,
    ) -> None:
        frozen = FrozenLease(lease, identify(worker or os.getpid()), (client,))
        order_by_window(
            [frozen],
            table or LocalTable(),
            lambda process, number: self.told.append((process.pid, number)),
        )


class Hanging(LocalTable):
    """No title can be read. To ask for one of another program than this takes forever."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program
        self.asked: list[int] = []

    def arguments(self, pid: int) -> list[bytes]:
        self.asked.append(pid)
        # It may have ended meanwhile.
        assert self.program(pid) in {self._program, ""}, "it hangs"
        raise OSError(errno.ENOMEM, "no memory")


def lease_of(terminal: int) -> str:
    return lease_in(fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8)))


@pytest.fixture
def scene() -> Iterator[Scene]:
    with ExitStack() as stack:
        yield Scene(stack)


def test_the_terminal_of_a_client_gets_the_size_and_its_master_is_told(scene):
    terminal = scene.terminal()
    client = scene.python(stdin=terminal)
    master = scene.python(MASTER, stdin=subprocess.DEVNULL, pass_fds=[terminal])
    scene.order(client)
    assert lease_of(terminal) == LEASE
    assert scene.told == [(master.pid, signal.SIGWINCH)]


def test_no_other_process_is_told(scene):
    """It has another terminal, another title, or another program."""
    terminal, other = scene.terminal(), scene.terminal()
    client = scene.python(stdin=terminal)
    scene.python(MASTER, stdin=subprocess.DEVNULL, pass_fds=[other])
    scene.python("ssh", stdin=subprocess.DEVNULL, pass_fds=[terminal])
    scene.program(
        ["/bin/sh", "-c", "echo ready; read end"],
        MASTER,
        stdin=other,
        pass_fds=[terminal],
    )
    scene.order(client)
    assert lease_of(terminal) == LEASE
    assert lease_of(other) == NO_LEASE
    assert not scene.told


def test_a_master_that_serves_another_terminal_is_not_told(scene):
    """It would send the size of that, too, and undo what a program has set on the host."""
    terminal, other = scene.terminal(), scene.terminal()
    client = scene.python(stdin=terminal)
    scene.python(MASTER, stdin=subprocess.DEVNULL, pass_fds=[terminal, other])
    scene.order(client)
    assert lease_of(terminal) == LEASE
    assert not scene.told


def test_only_processes_with_the_program_of_a_client_are_asked_for_their_title(scene):
    """A process that hangs may hold up its reader. An error must not keep the couriers here."""
    terminal = scene.terminal()
    client = scene.python(stdin=terminal)
    master = scene.python(MASTER, stdin=subprocess.DEVNULL, pass_fds=[terminal])
    scene.program(["/bin/sh", "-c", "echo ready; read end"], MASTER, stdin=scene.terminal())
    table = Hanging(LocalTable().program(client.pid))
    scene.order(client, table=table)
    assert master.pid in table.asked
    assert lease_of(terminal) == LEASE
    assert not scene.told


def test_a_terminal_that_the_worker_has_not_made_is_left_alone(scene):
    """A wrapper around ssh may have opened that of the user."""
    terminal = scene.terminal()
    client = scene.python(stdin=terminal)
    scene.python(MASTER, stdin=subprocess.DEVNULL, pass_fds=[terminal])
    worker = scene.python(stdin=subprocess.DEVNULL)
    scene.order(client, worker=worker.pid)
    assert lease_of(terminal) == NO_LEASE
    assert not scene.told


def test_a_client_without_a_terminal_has_no_order(scene, tmp_path):
    """A pipe that is opened would wait for its other end."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    descriptor = os.open(fifo, os.O_RDWR)
    try:
        client = scene.python(stdin=descriptor)
    finally:
        os.close(descriptor)
    scene.order(client)
    assert not scene.told


def test_a_process_that_has_the_pid_of_a_client_by_now_is_left_alone(scene):
    terminal = scene.terminal()
    later = scene.python(stdin=terminal)
    scene.python(MASTER, stdin=subprocess.DEVNULL, pass_fds=[terminal])
    scene.order(ProcessId(later.pid, later.start - 1))
    assert lease_of(terminal) == NO_LEASE
    assert not scene.told


@pytest.mark.parametrize("lease", ["", "a lease", "0123456789"])
def test_a_lease_with_an_id_that_no_worker_makes_has_no_order(scene, lease):
    terminal = scene.terminal()
    client = scene.python(stdin=terminal)
    scene.python(MASTER, stdin=subprocess.DEVNULL, pass_fds=[terminal])
    scene.order(client, lease)
    assert lease_of(terminal) == NO_LEASE
    assert not scene.told


def test_a_client_that_has_ended_has_no_order(scene):
    terminal = scene.terminal()
    client = scene.python(stdin=terminal)
    os.kill(client.pid, signal.SIGKILL)
    os.waitid(os.P_PID, client.pid, os.WEXITED | os.WNOWAIT)
    scene.order(client)
    assert not scene.told
