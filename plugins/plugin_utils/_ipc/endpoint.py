# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The place of a run's guardian: a unix socket in a private directory.

Each end checks the uid of its peer.
"""

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

#: sockaddr_un holds 108 bytes on Linux, 104 on the BSDs and macOS. A longer path can't be bound.
_SUN_PATH_BYTES = 100


class EndpointError(Exception):
    """No directory for the socket could be made or trusted. The text gives each with the reason."""


class WrongPeer(Exception):
    """The process at the other end of the socket belongs to another user."""


def socket_path(main: ProcessId) -> str:
    """Return the path of the socket of the guardian of `main`.

    Its directory is made if it is missing, with mode 0700. It must belong to this user.

    The name holds the pid and the start time of the main process. So every worker of a run finds
    this place without a message, and no later process with that pid does.

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
    """Yield the directories in which the guardian's directory may be, the best first."""
    # /dev/shm comes last. It has room when the disks are full, and a run on a full disk needs its
    # guardian too.
    # The directory that is made there is checked.
    for candidate in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp", "/dev/shm"):  # noqa: S108
        if candidate and os.path.isdir(candidate) and os.access(candidate, os.W_OK | os.X_OK):
            yield candidate


def _private_directory(directory: str) -> None:
    """Make `directory`, or trust an existing one if no other user could have prepared it."""
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
                0, "exists already, and is not a private directory of this user"
            ) from None


def lock_path(path: str) -> str:
    """Return the path of the lock that is held while a guardian is started at `path`."""
    return os.path.join(os.path.dirname(path), "lock")


def crash_path(path: str) -> str:
    """Return the path of the file in which the guardian at `path` leaves its fatal error."""
    return os.path.join(os.path.dirname(path), "crash")


def crash_reason(path: str) -> str:
    """Return the error that ended the last guardian at `path`, in words.

    The text is empty if no error of its own ended it.
    """
    try:
        with open(crash_path(path), encoding="utf-8", errors="replace") as crash:
            if os.path.exists(path) and os.fstat(crash.fileno()).st_mtime < os.stat(path).st_mtime:
                return ""  # It belongs to an earlier guardian.
            last = crash.read().strip().rpartition("\n")[2]
    except OSError:
        return ""
    # The kind of the error alone: the rest of the line may hold a value of the user.
    return f"by an error of its own ({last.partition(':')[0]}; see {crash_path(path)})"


def listen(path: str) -> socket.socket:
    """Return a listening, non-blocking socket at `path`. It replaces one that a dead guardian left.

    Raises:
        OSError: it can't be bound.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass  # The usual case: there was no guardian before.
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(1024)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(path: str, timeout: float) -> socket.socket:
    """Return a connection to the guardian at `path`, with `timeout` seconds for each operation.

    Raises:
        OSError: no process listens there.
        WrongPeer: a process of another user listens there.
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
    """Return device and inode of the socket at `path`; None if it is gone."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def answers(path: str) -> bool:
    """Whether a guardian of this user listens at `path`.

    A guardian that is too busy to take another connection counts as one that listens.
    """
    try:
        connect(path, timeout=5.0).close()
    except (BlockingIOError, TimeoutError):
        return True
    except (OSError, WrongPeer):
        return False
    return True


def check_peer(connection: socket.socket) -> int:
    """Return the pid of the peer, after a check of its uid. The pid is 0 if the system has none.

    Raises:
        WrongPeer: the peer has another uid. That may be root: no other user may have the secrets of
            this run.
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
    """Return the uid of the peer on macOS and the BSDs.

    The option LOCAL_PEERCRED gives a struct xucred, which begins with a version and the uid
    (sys/ucred.h).
    """
    local_peercred = 1
    credentials = connection.getsockopt(0, local_peercred, 8)
    return int(struct.unpack("=II", credentials)[1])


def remove(path: str) -> None:
    """Remove the socket, the lock and their directory."""
    for name in (path, lock_path(path)):
        try:
            os.unlink(name)
        except FileNotFoundError:
            pass  # The temporary directory was cleaned during the run, so the file is gone already.
    try:
        os.rmdir(os.path.dirname(path))
    except OSError:
        pass  # It is gone, or a worker is making a new guardian in it, which will remove it.
