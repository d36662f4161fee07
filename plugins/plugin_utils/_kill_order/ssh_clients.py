# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clients of a process of ours that is about to end, and the files with their passwords.

Core starts a client that asks for a password in a session of its own. Such a client does not end
with the session of the process that has started it.

The proxy of a connection that a ControlMaster shares is left alone: other runs may need it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import typing as t

from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    ProcessId,
    descendants,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.askpass_files import (
    forget,
    shared_passwords,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import (
    LocalTable,
    group_of,
    kill_all,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.shared_proxies import (
    shared_proxies,
)

#: Programs that core starts for a connection by OpenSSH.
_PROGRAMS = ("ssh", "sshpass")


@dataclasses.dataclass(frozen=True)
class SshClients:
    """The clients that were there when they were looked for."""

    clients: tuple[ProcessId, ...]
    passwords: t.AbstractSet[str]

    @classmethod
    def below(cls, pid: int) -> SshClients:
        """Return the ssh clients below a process, and its forks that are about to become one.

        A kill pass on this machine is below a courier, too. It goes on, since it may have stopped a
        tree.
        """
        table = LocalTable()
        below = descendants([pid], table.children, lambda dummy: False)
        shared = shared_proxies(table, below)
        fork = table.arguments(pid)
        found = (
            table.process(one)
            for one in below
            if one not in shared
            and (table.program(one) in _PROGRAMS or table.arguments(one) == fork)
        )
        return cls(
            tuple(process.id for process in found if process is not None),
            shared_passwords(table, below),
        )

    def end(self) -> None:
        """End them, and remove their passwords."""
        kill_all(self.clients)
        forget(self.passwords)


def end_group(leader: int) -> None:
    """Send SIGKILL to all other processes of the group that a process of ours leads."""
    table = LocalTable()
    if not table.usable:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
        return
    found = (table.process(pid) for pid in table.pids() if pid != leader)
    group = {one.id.pid: one.id for one in found if one and group_of(one.id) == leader}
    shared = shared_proxies(table, group, orphans=True)
    kill_all(process for pid, process in group.items() if pid not in shared)
