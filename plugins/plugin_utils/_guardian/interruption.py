# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The interruption of a run: the gate, the frozen processes, and the kill orders.

docs/how_it_kills.md gives the reason for the order of the steps.
"""

from __future__ import annotations

import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    LeaseResult,
    Outcome,
)

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.always_phase import (
        AlwaysPhase,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.connections import (
        ClientConnections,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.local_processes import (
        LocalProcesses,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import RunPage
    from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.dispatcher import (
        Dispatcher,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import (
        Lease,
        LeaseTable,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._records.recorder import (
        RunRecorder,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop

#: Sent to the main process once, when the local clients of an interrupted run are frozen.
FROZEN = b"F"


class Interruption:
    """The interruption of one run. It also orders the end of single leases.

    There is at most one, and a second one of the `always` sections that run after the first.

    The guardian's loop calls every method.
    """

    def __init__(
        self,
        loop: Loop,
        page: RunPage,
        leases: LeaseTable,
        *,
        always: AlwaysPhase,
        connections: ClientConnections,
        local: LocalProcesses,
        dispatcher: Dispatcher,
        recorder: RunRecorder,
    ) -> None:
        self.loop = loop
        self._page = page
        self._leases = leases
        self._always = always
        self._connections = connections
        self._local = local
        self._dispatcher = dispatcher
        self._recorder = recorder
        self._began_at = 0.0
        #: The signal or event that interrupted the run; empty without an interruption.
        self.cause = ""
        #: Whether the rest of the grace period is skipped.
        self.skips_grace = False

    @property
    def seconds(self) -> float:
        """The seconds since the interruption."""
        return self.loop.clock() - self._began_at

    def begin(self, cause: str, number: int = 0) -> None:
        """Close the gate, freeze the local clients, and give every kill order.

        Args:
            cause: of the interruption.
            number: of the signal, if a signal is the cause.
        """
        is_first = not self.cause
        self._always.end()
        if is_first and number and self._page.runs_always:
            self._always.begin()
        self.cause, self._began_at = self.cause or cause, self.loop.clock()
        self._leases.close_gate()
        self._page.close_gate()
        self._local.freeze(self._leases.opened)
        if number:
            # Before the main process continues. It ends its workers, and then nothing leads to what
            # they have started.
            busy = {
                lease.worker
                for lease in (*self._leases.opened, *self._leases.unclosed)
                if not lease.detached
            }
            if self._always.is_on:
                self._local.interrupt_idle(number, busy)
            else:
                self._local.signal_idle(number, busy)
        # By now everything that was sent during the freeze is here: a frozen worker sends nothing
        # more.
        self.loop.poll()
        self._report_frozen()
        self._always.note_broken()
        broken = self._break_all()
        for lease in broken:
            if lease.terms.cut:
                # The fastest order there is: the supervisor gets it a round trip later. The kill
                # order follows, to check on it and to fetch the report. The same holds below.
                self._local.cut(lease)
        self._local.order_by_window([lease for lease in broken if lease.terms.window])
        self._dispatcher.prepare(broken)
        for lease in broken:
            self.give_order(lease)
        if is_first:
            self._recorder.interrupted(cause)

    def skip_grace(self) -> None:
        """Skip the rest of the grace period on every host."""
        self.skips_grace = True
        self._dispatcher.skip_grace()

    def _break_all(self) -> list[Lease]:
        """Break every open lease, and return those that need an order.

        Under the others nothing can have begun.
        """
        not_begun = self._local.not_begun(self._leases.opened, self._page.may_have_begun)
        broken = self._leases.break_all()
        for lease in broken:
            if lease.lease in not_begun:
                self._close_here(
                    lease, LeaseResult(Outcome.NOT_BEGUN, "its command had not been sent")
                )
        return [lease for lease in broken if lease.lease not in not_begun]

    def _report_frozen(self) -> None:
        for connection in self._connections:
            if connection.is_main:
                try:
                    connection.socket.send(FROZEN)
                except OSError:
                    pass  # It is gone, or does not read. It waits for this only for a moment.

    def give_order(self, lease: Lease) -> None:
        """Give the kill order of a broken lease, or close the lease if it needs none."""
        if lease.terms.transfer:
            self._close_here(lease, LeaseResult(Outcome.BROKEN_OFF, "a file transfer"))
            return
        polled = self._is_polled(lease)
        if polled:
            # The journal lists it as done since it was detached.
            self._recorder.opened(lease)
        if lease.detached and not lease.terms.end_async and not polled:
            self._leases.close(
                lease.lease,
                LeaseResult(
                    Outcome.LEFT, "an asynchronous job with poll 0, and kill_async is false"
                ),
            )
        else:
            self._dispatcher.give_order(lease)

    def _close_here(self, lease: Lease, result: LeaseResult) -> None:
        """Close a lease without an order: it is enough to end its client."""
        self._local.end_clients_of(lease)
        self._leases.close(lease.lease, result)

    def _is_polled(self, lease: Lease) -> bool:
        """Whether a task of this run waits for this detached job at this moment.

        Then the job is in flight as that task is.
        """
        job = (lease.host, lease.terms.job)
        return (
            lease.detached
            and lease.terms.job != ""
            and any(connection.polls == job for connection in self._connections)
        )
