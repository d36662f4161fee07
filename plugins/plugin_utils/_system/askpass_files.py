# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Passwords that an ssh client was given in shared memory, to be taken away with the client.

This file is private to the collection treekill.remote.

From ansible-core 2.19 on, the ssh plugin hands a password to the client's askpass program in a file of /dev/shm that is named in the client's
environment, and removes it when the client has returned. A worker that is killed leaves it there.
"""

from __future__ import annotations

import contextlib
import os
import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.module_utils._process.proc import ProcTable

#: The name that multiprocessing.shared_memory gives; nothing else is removed, whatever an
#: environment says.
_NAMED = re.compile(rb"(?:^|\0)_ANSIBLE_SSH_ASKPASS_SHM=(psm_[0-9a-f]+)(?:\0|$)")


def shared_passwords(table: ProcTable, pids: t.Iterable[int]) -> set[str]:
    """The files with passwords that these processes were given. To be asked for while they are alive."""
    found = set()
    for dummy, environment in table.environments(pids):
        named = _NAMED.search(environment or b"")
        if named:
            found.add(f"/dev/shm/{named[1].decode()}")  # noqa: S108
    return found


def forget(files: t.Iterable[str]) -> None:
    """Remove them, where the plugin has not done it."""
    for file in files:
        with contextlib.suppress(FileNotFoundError, PermissionError):
            os.unlink(file)
