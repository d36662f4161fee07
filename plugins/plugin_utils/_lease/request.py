# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The request for a lease of a command or a transfer.

It holds all that the guardian has to know before the command or the transfer starts.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._core.transports import (
    address_of,
    passes_window_on,
    plugin_name,
    runs_here,
    shows_its_end,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import (
    KillOrderTerms,
    LeaseRequest,
    LeaseTerms,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.masks import arguments_of

if t.TYPE_CHECKING:
    from ansible.plugins.connection import ConnectionBase
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import GuardedTask


@dataclasses.dataclass(frozen=True)
class Command:
    """The form in which one command is sent."""

    lease: str
    #: Whether it becomes another user, and has its cookie after that.
    becomes: bool
    #: Whether it gets data on its standard input.
    pipelined: bool
    supervised: bool
    #: The id of the asynchronous job that it starts, as core puts it on the command line.
    job: str = ""
    #: Whether it may run the task's own work. Core's own file handling does not.
    payload: bool = True
    #: Whether the worker notes the moment of sending.
    notes: bool = False
    #: See `LeaseTerms.client`.
    client: str | None = None
    #: See `LeaseTerms.pulse`.
    pulse: bool = False
    #: See `LeaseTerms.starts_job`.
    starts_job: bool = False


def request_for_command(
    run: str, task: GuardedTask, connection: ConnectionBase, command: Command, reach: str
) -> LeaseRequest:
    """Return the request for the lease of a command.

    `reach`: its host's `ConnectionSpec` as JSON text.
    """
    options = task.options
    return LeaseRequest(
        lease=command.lease,
        host=task.host,
        task=task.name,
        order=json.dumps(_order(run, task, command).to_message()),
        reach=reach,
        terms=LeaseTerms(
            run=run,
            timeout=options.timeout,
            retry_for=options.retry_for,
            keep=options.keep_on_disconnect,
            end_async=options.end_async,
            local=runs_here(connection),
            # With a terminal, the end of the client would hang up half of the tree before its
            # supervisor can end it properly. Then the order goes by the terminal's size.
            cut=command.supervised
            and command.pipelined
            and connection.transport == "ssh"
            and not options.keep_on_disconnect,
            window=command.supervised
            and not command.pipelined
            and not command.starts_job
            and passes_window_on(connection)
            and not options.keep_on_disconnect,
            supervised=command.supervised,
            transfer=False,
            payload=command.payload,
            job=command.job,
            polls=task.polls,
            notes=command.notes,
            client=command.client,
            finish_timeout=options.finish_timeout
            if options.finish or options.finish_modules
            else 0.0,
            pulse=command.pulse,
            starts_job=command.starts_job,
            address=address_of(connection),
            unseen_end=""
            if shows_its_end(connection) or options.keep_on_disconnect
            else plugin_name(connection),
        ),
    )


def _order(run: str, task: GuardedTask, command: Command) -> KillOrderTerms:
    show = task.show_arguments
    arguments: list[tuple[str, str]] = []
    if show:
        try:
            # There are too many of them: an argument that is left out might be secret.
            arguments, show = arguments_of(task.arguments())
        # A value that can't be evaluated may raise anything. Then no command line can be masked,
        # and none is shown.
        except Exception:  # noqa: BLE001
            show = False
    return KillOrderTerms(
        run=run,
        lease=command.lease,
        options=task.options,
        interpreters=task.interpreters,
        becomes=command.becomes,
        pipelined=command.pipelined,
        show_arguments=show,
        action=task.action,
        arguments=tuple(arguments),
    )


def request_for_transfer(
    run: str, task: GuardedTask, connection: ConnectionBase, lease: str
) -> LeaseRequest:
    """Return the request for the lease of a file transfer. A transfer has no kill order."""
    terms = LeaseTerms(
        run=run,
        timeout=0.0,
        retry_for=0.0,
        keep=False,
        end_async=False,
        local=False,
        cut=False,
        supervised=False,
        transfer=True,
        payload=False,
        address=address_of(connection),
    )
    return LeaseRequest(
        lease=lease, host=task.host, task=task.name, order="", reach="", terms=terms
    )
