# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The moment at which a worker sends a command: it is noted for the guardian.

A guardian that stops a worker reads the note: without one, the command has not begun. After an
interruption no command is sent. A stopped worker continues for a moment after the attempt of its
kill order, and finds the gate closed.

The order matters. The worker writes the note, then reads the gate. The guardian closes the gate,
stops the worker, then reads the note.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.client import Interrupted

if t.TYPE_CHECKING:
    from ansible.plugins.connection import ConnectionBase
    from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.client import (
        GuardianClient,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.request import Command

#: Modules of the plugins that start clients by `_START_CLIENT` and in no other way. How other
#: plugins start clients is unknown.
_SSH_PLUGINS = (
    "ansible.plugins.connection.ssh",
    "ansible_collections.treekill.remote.plugins.connection.ssh",
)

#: Method of core's ssh plugin that starts a client and waits for it.
_START_CLIENT = "_bare_run"

#: Method that the paramiko_ssh of this collection calls right before it sends a command. It does
#: not call it for transfers, which have leases of another kind.
_BEFORE_COMMAND = "before_command"


class Departure:
    """The commands that leave through one connection object, one after the other."""

    def __init__(self, connection: ConnectionBase, link: GuardianClient) -> None:
        self._connection = connection
        self._link = link
        self._lease = ""
        self._clients = 0
        self._client_path: str | None = None
        self._start_client: t.Callable[..., t.Any] | None = None
        if hasattr(connection, _BEFORE_COMMAND):
            vars(connection)[_BEFORE_COMMAND] = self._note_sending
        elif type(connection).__module__ in _SSH_PLUGINS and hasattr(connection, _START_CLIENT):
            self._start_client = getattr(connection, _START_CLIENT)
            vars(connection)[_START_CLIENT] = self._note_start

    def added_to(self, command: Command) -> Command:
        """Return the command with what the guardian needs to know of its departure."""
        # Without a callback, each worker has a page of its own.
        if not self._link.announced:
            return command
        return dataclasses.replace(
            command, notes=_BEFORE_COMMAND in vars(self._connection), client=self._ssh_client()
        )

    @contextlib.contextmanager
    def noted(self, lease: str) -> t.Iterator[None]:
        """Note in this block that the command of this lease is sent."""
        self._lease, self._clients = lease, 0
        # With any plugin, the command has not been sent yet.
        self._check_gate()
        try:
            yield
        finally:
            self._lease = ""

    def _ssh_client(self) -> str:
        """Return the path of the ssh client; empty where a second client would not be noticed."""
        if self._client_path is None:
            self._client_path = (
                ""
                if self._start_client is None
                else shutil.which(str(self._connection.get_option("ssh_executable"))) or ""
            )
        return self._client_path

    def _note_sending(self) -> None:
        if self._lease:
            self._link.page.note_beginning(self._lease)
            self._check_gate()

    def _note_start(self, *args: t.Any, **more: t.Any) -> t.Any:
        if self._lease:
            self._clients += 1
            if self._clients > 1:
                # The first client has failed, and may have started the command.
                self._link.page.note_beginning(self._lease)
            self._check_gate()
        return t.cast("t.Callable[..., t.Any]", self._start_client)(*args, **more)

    def _check_gate(self) -> None:
        if self._link.page.gate_closed:
            raise Interrupted("The run was interrupted: nothing new is started on any host.")
