# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files with passwords for ssh clients: found and removed when a client was killed.

From ansible-core 2.19 on, the ssh plugin passes a password to the client's askpass program. It
writes the password to a file of /dev/shm, and names the file in the client's environment. The
plugin removes the file when the client has returned. A killed worker leaves the file there.
"""

from __future__ import annotations

import contextlib
import os
import re
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.module_utils._process.proc import ProcTable

#: The name that multiprocessing.shared_memory gives. No other file is removed, whatever an
#: environment names.
_NAMED = re.compile(rb"(?:^|\0)_ANSIBLE_SSH_ASKPASS_SHM=(psm_[0-9a-f]+)(?:\0|$)")


def shared_passwords(table: ProcTable, pids: t.Iterable[int]) -> set[str]:
    """Return the files with passwords that these processes were given.

    The processes must still be alive: their environments name the files.
    """
    found = set()
    for dummy, environment in table.environments(pids):
        named = _NAMED.search(environment or b"")
        if named:
            found.add(f"/dev/shm/{named[1].decode()}")  # noqa: S108
    return found


def forget(files: t.Iterable[str]) -> None:
    """Remove the files that the plugin has not removed."""
    for file in files:
        with contextlib.suppress(FileNotFoundError, PermissionError):
            os.unlink(file)
