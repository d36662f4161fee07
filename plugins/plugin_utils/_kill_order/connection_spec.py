# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The spec of a connection, from which another process makes the connection again.

It takes the resolved options of the connection, and those of its shell and its become plugin. It
also takes a few attributes of the play context. All of it may hold passwords.
"""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
import typing as t

from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import become_loader, connection_loader, shell_loader
from ansible_collections.treekill.remote.plugins.plugin_utils._core.api import Feature, is_supported
from ansible_collections.treekill.remote.plugins.plugin_utils._core.transports import (
    ENGINES,
    plugin_name,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.json_record import JsonRecord
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.masks import secrets_of_options

if t.TYPE_CHECKING:
    from ansible.plugins.become import BecomeBase
    from ansible.plugins.connection import ConnectionBase

#: What connection and become plugins still read from the play context, because they have no option
#: for it.
_PLAY_CONTEXT = (
    "remote_addr", "remote_user", "port", "password", "timeout", "private_key_file", "connection",
    "executable", "become", "become_method", "become_user", "become_pass", "become_exe",
    "become_flags",
)  # fmt: skip

_CARRIES_ORDER = "_treekill_carries_order"

#: Seconds that Ansible gives OpenSSH to connect.
_CONNECT_SECONDS = 10.0

#: What lets ssh share connections that outlive the client which has made them.
_PERSISTS = re.compile(r"controlpersist(?![ =\"']*(no|false)\b)", re.IGNORECASE)


class ReconnectError(Exception):
    """The order's data did not suffice to reach the host, or to become its user."""


def carries_order(connection: ConnectionBase) -> bool:
    """Whether a connection was made to carry out a kill order.

    Such a connection takes no lease, and can ask no person for anything.
    """
    return _CARRIES_ORDER in vars(connection)


@dataclasses.dataclass(frozen=True)
class ConnectionSpec(JsonRecord):
    """The names and resolved options of a connection's plugins, to make the connection again."""

    connection: str
    connection_options: dict[str, t.Any]
    shell: str
    shell_options: dict[str, t.Any]
    become: str | None
    become_options: dict[str, t.Any]
    play_context: dict[str, t.Any]

    @classmethod
    def from_connection(cls, connection: ConnectionBase) -> ConnectionSpec:
        """Return the spec of a connection whose options are all set.

        They are when an action plugin is made.
        """
        become, shell = (
            connection.become if is_supported(Feature.BECOME) else None,
            connection._shell,
        )
        return cls(
            # A plugin that extends another one only to guard it names that one.
            connection=getattr(connection, "kill_order_plugin", plugin_name(connection)),
            connection_options=connection.get_options(),
            shell=plugin_name(shell),
            shell_options=shell.get_options(),
            become=plugin_name(become) if become else None,
            become_options=become.get_options() if become else {},
            play_context={
                name: getattr(connection._play_context, name, None) for name in _PLAY_CONTEXT
            },
        )

    def connect(self, no_log: bool) -> ConnectionBase:
        """Return a new connection of this kind, with these options. It sends nothing yet.

        Args:
            no_log: whether the plugin must hide what it knows, including the reason of a failure.

        Raises:
            ReconnectError: a plugin is missing.
        """
        play_context = PlayContext()
        for name, value in self.play_context.items():
            setattr(play_context, name, value)
        play_context.no_log = no_log
        # Through this descriptor plugins lock a file that all workers share (host keys). The run's
        # own descriptor is closed here. The courier ends with the order, and its descriptors end
        # with it.
        play_context.connection_lockfd = _lock_file()
        connection = connection_loader.get(
            self.connection,
            play_context,
            new_stdin=None,
            task_uuid="",
            ansible_playbook_pid=str(os.getpid()),
        )
        if connection is None:
            raise ReconnectError(f"the connection plugin {self.connection} is not found")
        vars(connection)[_CARRIES_ORDER] = True
        connection.set_options(direct=self.connection_options)
        connection._shell = self._shell(play_context)
        if self.become:
            connection.set_become_plugin(self._become(self.become))
        return t.cast("ConnectionBase", connection)

    def secrets(self) -> list[str]:
        """Return the values of options whose names look secret."""
        options = (self.connection_options, self.become_options, self.play_context)
        return [secret for one in options for secret in secrets_of_options(one)]

    @property
    def seconds_to_connect(self) -> float:
        """The seconds that the plugin waits for a login at most; those of ssh if unknown.

        It is 0 for the engines of containers: they have no login.
        """
        if self.connection in ENGINES:
            return 0.0
        try:
            return max(float(self.connection_options["timeout"]), 0.0)
        except (KeyError, TypeError, ValueError):
            return _CONNECT_SECONDS

    def share_only_what_persists(self, connection: ConnectionBase) -> None:
        """Give an ssh client its own connection if a shared one would end with its first client.

        Such a first client ends only after all others, and its early end cuts them off. If it were
        a task's, the task would wait for the pulse. If it were the pulse's, it could end tasks.
        """
        options = self.connection_options
        words = [str(options.get(f"ssh_{one}args") or "") for one in ("", "common_", "extra_")]
        if "ssh_args" in options and not _PERSISTS.search(" ".join(words)):
            # the first value that ssh reads counts
            connection.set_option("ssh_args", f"-o ControlPath=none {words[0]}")

    def _shell(self, play_context: PlayContext) -> t.Any:
        shell = shell_loader.get(self.shell)
        if shell is None:
            raise ReconnectError(f"the shell plugin {self.shell} is not found")
        shell.set_options(direct=self.shell_options)
        shell.executable = play_context.executable
        return shell

    def _become(self, name: str) -> BecomeBase:
        become = become_loader.get(name)
        if become is None:
            raise ReconnectError(f"the become plugin {name} is not found")
        become.set_options(direct=self.become_options)
        return t.cast("BecomeBase", become)


def _lock_file() -> int:
    """Return the descriptor of a file without a name.

    It is in memory if the system allows that, because the disk may be full.
    """
    if hasattr(os, "memfd_create"):
        return os.memfd_create("treekill")
    descriptor, name = tempfile.mkstemp()
    os.unlink(name)
    return descriptor
