# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether anything can have been started on the host of a stopped worker.

A server starts a command when it is asked to. The request comes over a connection with keys that
both sides have agreed on. A client that has not received a byte has agreed on nothing. So nothing
has begun where all of this is true:

- The client is stopped, and has one socket. That socket is of TCP, and nothing has come over it.
  A client may ask a ControlMaster for a session before it connects by itself. It still has that
  socket open then (OpenSSH from 6.6 to 10, mux.c).
- It is OpenSSH's ssh, and the very program that the plugin has started. A script around it may
  have tried before.
- The worker has started nothing else but this, or sshpass around it, and it is the first client
  of the command.
- The worker holds no other lease. The lease of an asynchronous job stays open, and each poll has
  a client of its own.

Some workers note that they are about to send the command. Such a worker only has to be stopped
without a note. The caller looks at the notes: see `_connection/departure.py`.

Whatever can't be read counts as no. An order for a host where nothing runs costs some seconds. A
false all-clear costs more.
"""

from __future__ import annotations

import dataclasses
import os
import re
import time
import typing as t

from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    ProcessId,
    descendants,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.tcp_connections import (
    silent_connections,
)

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessTable

#: Seconds to wait for the stop of processes that were sent SIGSTOP. It takes far less than a
#: millisecond, and longer on a busy machine.
_STOP_SECONDS = 0.2

#: Seconds between two checks.
_PAUSE_SECONDS = 0.001

_SOCKET = re.compile(r"socket:\[(\d+)\]")


@dataclasses.dataclass(frozen=True)
class FrozenWorker:
    """A worker that was sent SIGSTOP, and all processes that it had started."""

    worker: ProcessId
    clients: tuple[ProcessId, ...] = ()
    #: Path of the ssh client that the worker starts. None if the worker notes what it sends.
    program: str | None = None


def without_session(
    frozen: t.Mapping[str, FrozenWorker],
    table: ProcessTable,
    clock: t.Callable[[], float] = time.monotonic,
) -> set[str]:
    """Return the names of stopped workers whose clients can't have started anything."""
    # Mostly there are none, and then there is no wait.
    likely = _silent(frozen, table)
    if not likely:
        return set()
    deadline = clock() + _STOP_SECONDS
    while not all(_stopped(frozen[name], table) for name in likely) and clock() < deadline:
        time.sleep(_PAUSE_SECONDS)
    return _silent({name: frozen[name] for name in likely if _stopped(frozen[name], table)}, table)


def _silent(frozen: t.Mapping[str, FrozenWorker], table: ProcessTable) -> set[str]:
    without_client = {name for name, one in frozen.items() if one.program is None}
    sockets = {name: _only_socket_of(one, table) for name, one in frozen.items() if one.program}
    silent = silent_connections() if any(sockets.values()) else frozenset[int]()
    return without_client | {name for name, inode in sockets.items() if inode in silent}


def _stopped(one: FrozenWorker, table: ProcessTable) -> bool:
    """Whether the worker and its clients are stopped, and are still the signalled processes."""
    for process in (one.worker, *one.clients):
        now = table.process(process.pid)
        if now is None or now.id != process or not now.stopped:
            return False
    return True


def _only_socket_of(one: FrozenWorker, table: ProcessTable) -> int:
    """Return the inode of the only socket of the only client; 0 in any other case."""
    try:
        client = _client_of(one, table)
        return _only_socket(client) if client else 0
    except OSError:
        return 0  # It is gone, or may not be read.


def _client_of(one: FrozenWorker, table: ProcessTable) -> int:
    """Return the pid of the ssh client if the worker has started nothing else; otherwise 0."""
    below = descendants([one.worker.pid], table.children, lambda pid: pid == os.getpid())
    if not 1 <= len(below) <= 2 or set(below) != {client.pid for client in one.clients}:
        return 0
    *around, client = below
    if any(os.path.basename(_executable(pid)) != "sshpass" for pid in around):
        return 0
    parents = [process.ppid for process in map(table.process, below) if process is not None]
    is_ssh = os.path.basename(_executable(client)) == "ssh" and os.path.samefile(
        f"/proc/{client}/exe", one.program or ""
    )
    return client if is_ssh and parents == [one.worker.pid, *around] else 0


def _executable(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/exe")


def _only_socket(pid: int) -> int:
    folder = f"/proc/{pid}/fd"
    found = [
        match
        for match in (
            _SOCKET.fullmatch(os.readlink(f"{folder}/{name}")) for name in os.listdir(folder)
        )
        if match
    ]
    return int(found[0][1]) if len(found) == 1 else 0
