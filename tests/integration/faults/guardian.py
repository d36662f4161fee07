# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guardian of a run, seen from outside: its process, and a caller at its socket."""

from __future__ import annotations

import json
import os
import secrets
import socket
import struct
from pathlib import Path
from typing import Any

from tests.support.hosts import ProcessId
from tests.support.run.run import Run
from tests.support.run.waiting import until

from .apart import apart

#: Flag of a listening socket in /proc/net/unix (__SO_ACCEPTCON).
_LISTENS = 0x10000

#: Seconds for an answer.
PATIENCE = 20.0


def socket_of(run: Run) -> Path:
    """Return where the run's guardian listens."""
    return until(
        lambda: [*run.directory.glob("tmp/treekill-*/socket")],
        40,
        lambda: f"there is no guardian\n{run.story}",
    )[0]


def listeners(path: Path) -> set[ProcessId]:
    """Return the processes that listen at this path.

    Their socket may have been removed, so that no client finds them.
    """
    inodes, found = {f"socket:[{inode}]" for inode in _listening_at(path)}, set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if any(
                os.readlink(f"/proc/{pid}/fd/{name}") in inodes
                for name in os.listdir(f"/proc/{pid}/fd")
            ):
                found.add(ProcessId.of(int(pid)))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # It ended, or closed that descriptor, during the look.
    return found


def guardian_of(run: Run, *but: ProcessId) -> ProcessId:
    """Return the process that listens at the run's socket, and is none of those named."""
    path = socket_of(run)
    # A process that the guardian forks holds its socket for a moment.

    def only_one() -> set[ProcessId]:
        found = listeners(path) - {*but}
        return found if len(found) == 1 else set()

    return until(
        only_one, 10, lambda: f"not one process listens at {path}: {listeners(path)}\n{run.story}"
    ).pop()


def _listening_at(path: Path) -> list[str]:
    rows = (line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:])
    return [
        row[6]
        for row in rows
        if len(row) == 8 and row[7] == str(path) and int(row[3], 16) & _LISTENS
    ]


def frame(message: object) -> bytes:
    """Return what the guardian reads: four bytes of length, then JSON."""
    payload = json.dumps(message).encode()
    return struct.pack("!I", len(payload)) + payload


def take(lease: str, **terms: Any) -> dict[str, Any]:
    """Return a request for a lease, as a worker sends it."""
    no = dict.fromkeys(("keep", "end_async", "local", "cut", "supervised", "transfer"), False)
    known = {"run": "0" * 16, "timeout": 0.0, "retry_for": 0.0, **no}
    return {
        "op": "take",
        "lease": lease,
        "host": "nowhere",
        "task": "none",
        "order": "{}",
        "reach": "{}",
        "terms": {**known, **terms},
    }


class Caller:
    """One connection to the guardian."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(path))

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *dummy: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def say_no_more(self) -> None:
        """Close this direction: the guardian reads the end."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # It has hung up already.

    def send(self, content: bytes) -> None:
        """Send raw bytes. Nothing happens if the guardian has hung up."""
        try:
            self.socket.sendall(content)
        except (BrokenPipeError, ConnectionResetError):
            pass  # It has hung up, which `hears` reports.

    def hears(self) -> bytes:
        """Return the next bytes from the guardian; nothing if it has hung up."""
        try:
            return self.socket.recv(65536)
        except ConnectionResetError:
            return b""  # It has hung up without having read all that was sent.


def answers(path: Path) -> bool:
    """Whether the guardian serves: it grants a lease, which is given back at once."""
    lease = secrets.token_hex(4)

    def ask() -> bytes:
        with Caller(path) as caller:
            caller.send(frame(take(lease)) + frame({"op": "done", "lease": lease}))
            return caller.hears()

    # A connected process is taken for a worker, and may be killed as one.
    return b'"granted": true' in apart(ask)
