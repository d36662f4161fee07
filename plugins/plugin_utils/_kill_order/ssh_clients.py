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
    """All that a process of ours has started, as it was when it was looked for.

    leader: the process, which leads a process group.
    clients: its ssh clients, and all others of its group.
    shares: whether a proxy that others need is in the group.
    passwords: the files of the clients.
    """

    leader: int
    clients: tuple[ProcessId, ...]
    shares: bool
    passwords: t.AbstractSet[str]

    @classmethod
    def below(cls, pid: int) -> SshClients:
        """Return ssh clients below a process, forks that are about to become one, and its group.

        A kill pass on this machine is below a courier, too. It goes on, since it may have stopped a
        tree.
        """
        table = LocalTable()
        below = descendants([pid], table.children, lambda dummy: False)
        living = {one.id.pid: one.id for one in map(table.process, table.pids()) if one is not None}
        group = {one for one, process in living.items() if group_of(process) == pid} - {pid}
        shared = shared_proxies(table, {*below, *group}, leader=pid)
        fork = table.arguments(pid)
        clients = {
            one for one in below if table.program(one) in _PROGRAMS or table.arguments(one) == fork
        }
        return cls(
            pid,
            tuple(living[one] for one in sorted((clients | group) - shared) if one in living),
            bool(shared),
            shared_passwords(table, below),
        )

    def end(self) -> None:
        """End them, and remove their passwords."""
        kill_all(self.clients)
        forget(self.passwords)

    def end_with_leader(self) -> None:
        """End them and the group's leader, which has not been waited for."""
        self.end()
        if not self.shares:
            # This also ends what they have started meanwhile. The leader may not have reached
            # setsid, or only a setuid client may be left of the group.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.leader, signal.SIGKILL)
        os.kill(self.leader, signal.SIGKILL)


def end_own_clients() -> None:
    """End the clients that a plugin has left below this process."""
    if LocalTable().children(os.getpid()):
        SshClients.below(os.getpid()).end()
