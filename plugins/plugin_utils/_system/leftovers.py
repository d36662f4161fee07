# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removal of the directories of killed guardians, by a later run of this user."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import time
import typing as t

from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import is_alive

#: Seconds without a change in the directory. The main process may be in another pid namespace, and
#: about to start a guardian there.
_UNTOUCHED_SECONDS = 600.0

#: Seconds for which the text of a crash is kept, and the files that `after_kill` needs while it
#: runs.
_DAY_SECONDS = 86400.0


def remove_leftovers(parents: t.Iterable[str] | None = None, now: float | None = None) -> None:
    """Remove directories of this user's runs that have no main process and no answering guardian.

    A directory that can't be removed stays.
    """
    name = re.compile(rf"treekill-{os.getuid()}-([1-9][0-9]{{0,9}})-([0-9]{{1,19}})")
    for parent in dict.fromkeys(endpoint.parents() if parents is None else parents):
        with contextlib.suppress(OSError):
            for entry in os.listdir(parent):
                main = name.fullmatch(entry)
                if main and not is_alive(ProcessId(int(main[1]), int(main[2]))):
                    with contextlib.suppress(OSError):
                        _remove(os.path.join(parent, entry), time.time() if now is None else now)


def _remove(directory: str, now: float) -> None:
    status = os.lstat(directory)
    private = (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == os.getuid()
        and not stat.S_IMODE(status.st_mode) & 0o077
    )
    path = os.path.join(directory, endpoint.SOCKET_NAME)
    if not private or now - status.st_mtime < _age(directory) or endpoint.answers(path):
        return
    with _turn(endpoint.lock_path(path)):
        for entry in os.scandir(directory):
            if entry.name.startswith("after-") and entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(endpoint.crash_path(path))
        endpoint.remove(path)


def _age(directory: str) -> float:
    return (
        _UNTOUCHED_SECONDS
        if set(os.listdir(directory)) <= {endpoint.SOCKET_NAME, "lock"}
        else _DAY_SECONDS
    )


@contextlib.contextmanager
def _turn(lock: str) -> t.Iterator[None]:
    """Hold the lock of a process that starts a guardian there.

    Raises:
        BlockingIOError: another process holds it.
    """
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
