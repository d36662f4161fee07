# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the guardian of a run is found: a unix socket in a private directory, its peer checked by uid."""

from __future__ import annotations

import os
import socket
import stat
import struct
import tempfile
import typing as t

from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId

#: Environment variable that names the socket of the run's guardian. Workers inherit it, and so do
#: inner runs without a callback.
ENVIRONMENT = "TREEKILL_SOCKET"

SOCKET_NAME = "socket"

#: sockaddr_un holds 108 bytes on Linux, 104 on the BSDs and macOS; what is longer can't be bound.
_SUN_PATH_BYTES = 100


class EndpointError(Exception):
    """No private directory for the socket could be made or trusted; the text says which were tried and why not."""


class WrongPeer(Exception):
    """The process at the other end of the socket belongs to another user."""


def socket_path(main: ProcessId) -> str:
    """The socket of the guardian of `main`, in a directory made for it if need be (mode 0700, owned by this user).

    The name holds the pid and the start time of the main process, so that every worker of a run finds the same place
    without having been told, and no later process with that pid does.

    Raises:
        EndpointError: none of the candidate directories can hold it.
    """
    refusals = []
    for parent in parents():
        directory = os.path.join(parent, f"treekill-{os.getuid()}-{main.pid}-{main.start}")
        path = os.path.join(directory, SOCKET_NAME)
        if len(os.fsencode(path)) > _SUN_PATH_BYTES:
            refusals.append(f"{directory}: too long for a socket's name")
            continue
        try:
            _private_directory(directory)
        except OSError as error:
            refusals.append(f"{directory}: {error.strerror or error}")
            continue
        return path
    raise EndpointError("no directory for the guardian's socket: " + "; ".join(refusals))


def parents() -> t.Iterator[str]:
    """The directories below which a guardian's may be, the best first."""
    # /dev/shm comes last: it has room when the disks are full, and a run that starts on a full disk wants its guardian too.
    for candidate in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp", "/dev/shm"):  # noqa: S108  # what is made there is checked
        if candidate and os.path.isdir(candidate) and os.access(candidate, os.W_OK | os.X_OK):
            yield candidate


def _private_directory(directory: str) -> None:
    """Make `directory`, or trust the one that is there only if nobody else could have prepared it."""
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        status = os.lstat(directory)
        if (
            not stat.S_ISDIR(status.st_mode)
            or status.st_uid != os.getuid()
            or stat.S_IMODE(status.st_mode) & 0o077
        ):
            raise PermissionError(
                0, "is there already, and not a private directory of this user"
            ) from None


def lock_path(path: str) -> str:
    """The file that those who would start a guardian at `path` take turns at."""
    return os.path.join(os.path.dirname(path), "lock")


def crash_path(path: str) -> str:
    """Where the guardian at `path` leaves word of an error that has ended it."""
    return os.path.join(os.path.dirname(path), "crash")


def crash_reason(path: str) -> str:
    """What has ended the last guardian at `path`, in words, where it was an error of its own; empty where it was not."""
    try:
        with open(crash_path(path), encoding="utf-8", errors="replace") as crash:
            if os.path.exists(path) and os.fstat(crash.fileno()).st_mtime < os.stat(path).st_mtime:
                return ""  # of a guardian before that one
            last = crash.read().strip().rpartition("\n")[2]
    except OSError:
        return ""
    # The kind of the error alone: what follows may be a value.
    return f"by an error of its own ({last.partition(':')[0]}; see {crash_path(path)})"


def listen(path: str) -> socket.socket:
    """A listening, non-blocking socket at `path`; one that a dead guardian left there is replaced.

    Raises:
        OSError: it can't be bound.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass  # the usual case: nobody listened here before
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(1024)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(path: str, timeout: float) -> socket.socket:
    """A connection to the guardian at `path`, with `timeout` seconds for each operation.

    Raises:
        OSError: nobody listens there.
        WrongPeer: somebody else's process does.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(path)
        check_peer(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def identity(path: str) -> tuple[int, int] | None:
    """Device and inode of the socket at `path`; None when it is gone."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def answers(path: str) -> bool:
    """Whether a guardian of this user listens at `path`, be it too busy to take another connection."""
    try:
        connect(path, timeout=5.0).close()
    except (BlockingIOError, TimeoutError):
        return True
    except (OSError, WrongPeer):
        return False
    return True


def check_peer(connection: socket.socket) -> int:
    """The pid at the other end (0 where the system does not tell it), once its uid was found to be ours.

    Raises:
        WrongPeer: the uid is another one, root's included: who is not the user of the run has no business with its secrets.
    """
    if hasattr(socket, "SO_PEERCRED"):
        credentials = connection.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
        )
        pid, uid, dummy = struct.unpack("3i", credentials)
    else:
        pid, uid = 0, _peer_uid(connection)
    if uid != os.geteuid():
        raise WrongPeer(
            f"the peer on the guardian's socket has uid {uid}, this run has {os.geteuid()}"
        )
    return int(pid)


def _peer_uid(connection: socket.socket) -> int:
    """macOS and the BSDs: LOCAL_PEERCRED, a struct xucred that begins with a version and the uid (sys/ucred.h)."""
    local_peercred = 1
    credentials = connection.getsockopt(0, local_peercred, 8)
    return int(struct.unpack("=II", credentials)[1])


def remove(path: str) -> None:
    """Take the socket, the lock and their directory away."""
    for name in (path, lock_path(path)):
        try:
            os.unlink(name)
        except FileNotFoundError:
            pass  # somebody cleaned the temporary directory while the run was going on: what we want is so already
    try:
        os.rmdir(os.path.dirname(path))
    except OSError:
        pass  # gone already, or a worker is just making a new guardian in it, which will remove it
