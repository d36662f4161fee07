# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kill order over a connection that is open: a new size of a client's terminal.

A task without pipelining has a terminal on its host, and its ssh client has one here. When the
ControlMaster of the client gets SIGWINCH, it reads the size of each client's terminal, and sends it
to the host. So the order needs no session and no process there. The client stays frozen meanwhile:
one that has not sent its command yet must not send it.

The order is a head start, and evidence of nothing. A courier follows it in any case. Without a
ControlMaster, only the client itself could send the size. It would have to be resumed for that, so
there is no such order then.

What is touched, and why it is certain that it may be:

- The terminal is standard input of a client: a process below the worker. The worker holds the other
  end. So no user types there. The size has the lease's id, and no other supervisor takes it for an
  order.
- The process that is signalled holds that terminal. It has the title of a ControlMaster, and runs
  the program of the client, or of a wrapper around that. OpenSSH handles SIGWINCH. Other programs
  ignore it by default.
- That process holds no other terminal. A ControlMaster sends the sizes of all its clients, and a
  program of another run may have set another size on its host. It would lose that.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import signal
import stat
import termios
import typing as t

from ansible_collections.treekill.remote.plugins.module_utils._lease.window_order import (
    ordered_size,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.shared_proxies import (
    MASTER_TITLE,
)

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
        ProcessId,
        ProcessTable,
    )

#: Device and inode of a file, which tell it from all other files.
_File = tuple[int, int]

#: See devices.txt of the kernel. The minor number is the index of the terminal.
_SLAVE_MAJOR = 136

#: What stands for the program of a process that has ended or belongs to another user.
_HIDDEN = ""


@dataclasses.dataclass(frozen=True)
class FrozenLease:
    """A lease whose worker and clients are frozen."""

    lease: str
    worker: ProcessId
    clients: tuple[ProcessId, ...]


def order_by_window(
    leases: t.Iterable[FrozenLease],
    table: ProcessTable,
    send: t.Callable[[ProcessId, signal.Signals], None],
) -> None:
    """Give the order for each lease whose client has a terminal and a ControlMaster.

    Args:
        leases: their clients are frozen.
        table: of this machine.
        send: sends a signal to a process, if that is still the same.
    """
    programs: dict[_File, set[str]] = {}
    for lease in leases:
        for client in lease.clients:
            # It is gone, or there is no descriptor. Or the lease has an id that no worker makes.
            with contextlib.suppress(OSError, ValueError):
                terminal = _set_size(lease, client, table)
                if terminal is not None:
                    programs.setdefault(terminal, set()).add(table.program(client.pid))
    if programs:
        for master in _masters(programs, table):
            send(master, signal.SIGWINCH)


def _set_size(lease: FrozenLease, client: ProcessId, table: ProcessTable) -> _File | None:
    """Set the size of a client's terminal, and return the terminal; None if it has none.

    Raises:
        OSError: the terminal or a process is gone.
    """
    path = f"/proc/{client.pid}/fd/0"
    found = os.stat(path)
    if not _is_terminal(found):
        return None
    if os.minor(found.st_rdev) not in _terminals_made_by(lease.worker.pid):
        return None
    # This process leads a session. The terminal must not become that of the session.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        opened, now = os.fstat(descriptor), table.process(client.pid)
        if _file(opened) != _file(found) or now is None or now.id != client:
            return None
        present = fcntl.ioctl(descriptor, termios.TIOCGWINSZ, bytes(8))
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, ordered_size(lease.lease, present))
    finally:
        os.close(descriptor)
    return _file(found)


def _terminals_made_by(pid: int) -> set[int]:
    """Return the indices of the pseudo-terminals whose other end a process holds.

    It is empty before Linux 4.14, which does not show them.

    Raises:
        OSError: the process is gone.
    """
    indices: set[int] = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        # Another thread may close it meanwhile.
        with contextlib.suppress(FileNotFoundError):
            if os.path.basename(os.readlink(f"/proc/{pid}/fd/{name}")) == "ptmx":
                with open(f"/proc/{pid}/fdinfo/{name}", encoding="ascii") as lines:
                    indices.update(int(line.split()[1]) for line in lines if "tty-index:" in line)
    return indices


def _masters(programs: t.Mapping[_File, set[str]], table: ProcessTable) -> t.Iterator[ProcessId]:
    """Yield the ControlMasters that hold these terminals, and no others.

    Args:
        programs: by the terminal, the programs of its client and of what is around that.
        table: of this machine.
    """
    wanted = set[str]().union(*programs.values()) - {_HIDDEN}
    for pid in table.pids():
        # First: to read the title of a process that hangs may take forever, as with `ps`.
        program = table.program(pid)
        if program in wanted and _is_master(pid, table):
            process, held = table.process(pid), _terminals_of(pid)
            if (
                process is not None
                and held <= programs.keys()
                and any(program in programs[terminal] for terminal in held)
            ):
                yield process.id


def _is_master(pid: int, table: ProcessTable) -> bool:
    try:
        title = table.arguments(pid)
    except OSError:
        return False  # There is a shortage, and the couriers must not wait for its end.
    return bool(title) and title[0].endswith(MASTER_TITLE)


def _terminals_of(pid: int) -> set[_File]:
    """Return the terminals that a process has open.

    There are none if it is gone, or belongs to another user.
    """
    found: set[_File] = set()
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            # It may be closed meanwhile.
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(f"/proc/{pid}/fd/{name}")
                if _is_terminal(status):
                    found.add(_file(status))
    except OSError:
        return set()
    return found


def _is_terminal(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) == _SLAVE_MAJOR


def _file(status: os.stat_result) -> _File:
    return status.st_dev, status.st_ino
