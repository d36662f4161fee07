# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The moment at which a command leaves its worker: noted for the guardian, and nothing leaves when the run was interrupted.

This file is private to the collection treekill.remote.

A guardian that stops a worker can tell by the note whether the command can have begun. A worker that was stopped before goes
on for a moment when its kill order has been tried: it finds the gate closed. In this order: the worker notes, then looks at
the gate; the guardian closes the gate, stops the worker, then looks for the note.
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

#: Modules of the plugins that start clients by the method below, and by no other. What another
#: plugin does is not known.
_SSH_PLUGINS = (
    "ansible.plugins.connection.ssh",
    "ansible_collections.treekill.remote.plugins.connection.ssh",
)

#: Of core's ssh plugin: starts a client, and waits for it.
_START_CLIENT = "_bare_run"

#: Of our paramiko_ssh: called right before a command is sent. Transfers are leases of another kind,
#: and pass by.
_BEFORE_COMMAND = "before_command"


class Departure:
    """Watches one connection object, whose commands go out one after the other."""

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
        """Return the command with what the guardian has to know of its departure."""
        # Without a callback, each worker has a page of its own.
        if not self._link.announced:
            return command
        return dataclasses.replace(
            command, notes=_BEFORE_COMMAND in vars(self._connection), client=self._ssh_client()
        )

    @contextlib.contextmanager
    def noted(self, lease: str) -> t.Iterator[None]:
        """While the block runs, the command of this lease goes out."""
        self._lease, self._clients = lease, 0
        # Of any plugin, the command has not gone out yet.
        self._check_gate()
        try:
            yield
        finally:
            self._lease = ""

    def _ssh_client(self) -> str:
        """The path of the ssh client; empty where it is not known when there is a second one."""
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
                # The first one has failed, and may have started the command.
                self._link.page.note_beginning(self._lease)
            self._check_gate()
        return t.cast("t.Callable[..., t.Any]", self._start_client)(*args, **more)

    def _check_gate(self) -> None:
        if self._link.page.gate_closed:
            raise Interrupted("The run was interrupted: nothing new is started on any host.")
