# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The leases of one connection object.

Each is taken, held while a command or a transfer runs, and then closed or broken.
"""

from __future__ import annotations

import contextlib
import secrets
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.attempts import Attempts
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.client_signals import (
    signals_held,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.departure import Departure
from ansible_collections.treekill.remote.plugins.plugin_utils._core.transports import runs_here
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.client import (
    TaskInterrupted,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import to_json
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.connection_spec import (
    ConnectionSpec,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.request import (
    Command,
    request_for_command,
    request_for_transfer,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.transfer import transferring
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.host_lines import in_one_line

if t.TYPE_CHECKING:
    from ansible.plugins.connection import ConnectionBase
    from ansible_collections.treekill.remote.plugins.plugin_utils._connection.command_line import (
        Result,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.client import (
        GuardianClient,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import LeaseRequest
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
        ReportedLease,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import GuardedTask

display = Display()

#: Seconds beyond the grace period that a worker waits for a kill order.
_ORDER_MARGIN_SECONDS = 15.0


class HeldLeases:
    """The leases of commands and transfers through one connection object."""

    def __init__(
        self, connection: ConnectionBase, link: GuardianClient, task: t.Callable[[], GuardedTask]
    ) -> None:
        """`task` returns the task that the next command is for."""
        self._connection = connection
        self._link = link
        self._task = task
        #: The lease of the asynchronous job that this worker polls.
        self._job = ""
        self._spec_sources: tuple[t.Any, ...] = ()
        self._spec_text = ""
        self._departure = Departure(connection, link)
        self._attempts = Attempts(connection)

    def take(self, command: Command) -> bool:
        """Take a lease for a command; False if it has to run without one.

        Raises:
            Interrupted: the run was interrupted.
        """
        request = self._request_or_warning(self._departure.added_to(command))
        return request is not None and self._link.take_lease(request)

    def run(self, lease: str, run: t.Callable[[], Result], starts_job: bool) -> Result:
        """Run a command under its lease, and close the lease or break it.

        The lease of a command that starts an asynchronous job stays open.
        """
        self._attempts.begin()
        try:
            with self._signals_held(lease), self._departure.noted(lease):
                result = run()
        except BaseException as error:
            if self._attempts.had_no_session(error):
                self._link.done(lease)
            else:
                self._give_up(lease, lost=isinstance(error, AnsibleConnectionFailure), error=error)
            raise
        if result[0] is not None and result[0] < 0 and not runs_here(self._connection):
            # A signal ended the client: the command may be running, whatever the client's status.
            self._break_lease(lease, lost=True)
        elif starts_job:
            # The lease stays open. The next client of this worker belongs to another command.
            self._link.page.note_beginning(lease)
            if self._task().detaches:
                self._link.detach_lease(lease)
            else:
                self._job = lease
                self._link.done_at_exit(lease)
        else:
            self._link.done(lease)
        return result

    @property
    def polls_job(self) -> bool:
        """Whether this worker polls an asynchronous job."""
        return bool(self._job)

    def end_job(self) -> None:
        """Close the lease of the job that this worker polls.

        Not at the end of this worker: core terminates a slow worker, and remaining processes of the
        job would look like a tree in flight.
        """
        self._link.done(self._job)
        self._job = ""

    def move(self, move: t.Callable[[], t.Any]) -> t.Any:
        """Transfer a file under a lease.

        Raises:
            Interrupted: the run was interrupted; nothing was transferred.
            Exception: as the method of the connection.
        """
        lease = secrets.token_hex(4)
        if not self._link.take_lease(
            request_for_transfer(self._link.run, self._task(), self._connection, lease)
        ):
            return move()
        try:
            with self._signals_held(lease), transferring(lease):
                return move()
        except BaseException as error:
            # After an Exception the client has ended. After the task's timeout it is still running.
            if not isinstance(error, Exception):
                self._give_up(lease, lost=False, error=error)
            raise
        finally:
            self._link.done(lease)

    def _give_up(self, lease: str, lost: bool, error: BaseException) -> None:
        if isinstance(error, TaskInterrupted):
            # The guardian has broken the lease itself, before it resumed this worker.
            return
        tried = self._break_lease(lease, lost)
        if tried is not None and not isinstance(error, (KeyboardInterrupt, SystemExit)):
            # Core's message on the task's timeout gives no detail. Since core 2.19 a warning is
            # part of the result.
            display.warning(f"treekill.remote: {in_one_line(tried)}")

    def _break_lease(self, lease: str, lost: bool) -> ReportedLease | None:
        """Give the tree up, and return the outcome.

        The play continues (rescue, always) after the tree has ended. There is no wait for a host
        whose connection is lost.
        """
        return self._link.broken(
            lease, lost, wait=0.0 if lost else self._task().options.timeout + _ORDER_MARGIN_SECONDS
        )

    def _request_or_warning(self, command: Command) -> LeaseRequest | None:
        """Return the request for the lease.

        None if it is unknown how to make the connection again; the user is then warned.
        """
        try:
            return request_for_command(
                self._link.run, self._task(), self._connection, command, self._connection_spec()
            )
        except (AnsibleError, AttributeError, KeyError, TypeError, ValueError) as error:
            reason = f"it is unknown how to make it again: {type(error).__name__}: {error}"
            self._link.unguarded(self._task().host, self._connection._load_name, reason)
            return None

    def _connection_spec(self) -> str:
        """Return how to make the connection again, as JSON.

        It is built again only after core has set options. Core makes new objects for each task,
        host and loop item.
        """
        connection, become = self._connection, self._connection.become
        made_of = (
            connection._options,
            connection._shell._options,
            become,
            become._options if become else None,
            connection._play_context,
        )
        if len(self._spec_sources) != len(made_of) or any(
            mine is not now for mine, now in zip(self._spec_sources, made_of, strict=True)
        ):
            self._spec_sources = made_of
            self._spec_text = to_json(ConnectionSpec.from_connection(connection).to_message())
        return self._spec_text

    def _signals_held(self, lease: str) -> contextlib.AbstractContextManager[None]:
        return signals_held(
            self._connection, self._link.main.pid, lambda: self._break_lease(lease, lost=False)
        )
