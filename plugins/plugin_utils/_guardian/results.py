# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The delivery of results: to the journal, the report, the processes that wait, and after_kill."""

from __future__ import annotations

import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.target_hosts import (
    after_hosts,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import (
    LeaseBrokenResult,
    answer_frame,
    report_frame,
)

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.run import AfterRun
    from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.always_phase import (
        AlwaysPhase,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.connections import (
        ClientConnection,
        ClientConnections,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.interruption import (
        Interruption,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.reporter import (
        RunReporter,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.dispatcher import (
        Dispatcher,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import LeaseTable
    from ansible_collections.treekill.remote.plugins.plugin_utils._records.recorder import (
        RunRecorder,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Timer

#: Seconds between two messages about the progress if nothing has changed. They show a waiting main
#: process that the guardian is alive.
_BEAT_SECONDS = 1.0

#: Seconds between two messages about the progress if orders end all the time. Each message costs
#: time for every lease.
_NEWS_SECONDS = 0.1


class Results:
    """Sender of the results of kill orders. The guardian's loop calls every method."""

    def __init__(
        self,
        leases: LeaseTable,
        connections: ClientConnections,
        interruption: Interruption,
        *,
        dispatcher: Dispatcher,
        after: AfterRun,
        reporter: RunReporter,
        recorder: RunRecorder,
        always: AlwaysPhase,
    ) -> None:
        self._loop = interruption.loop
        self._leases = leases
        self._connections = connections
        self._interruption = interruption
        self._dispatcher = dispatcher
        self._after = after
        self._reporter = reporter
        self._recorder = recorder
        self._always = always
        #: Main processes that wait for the report.
        self._reporting: list[ClientConnection] = []
        #: Whether the main process has got a report, and so tells the user.
        self.is_reported = False
        #: Workers that wait for the first try of their own lease's kill order, with the numbers of
        #: their requests.
        self._awaiting: dict[str, list[tuple[ClientConnection, int | None]]] = {}
        self._next_progress: Timer | None = None
        self._sent_at = -_NEWS_SECONDS

    # Workers.

    def await_try(self, name: str, connection: ClientConnection, number: int | None) -> None:
        """Answer this request of a worker when its lease's kill order has been tried."""
        self._awaiting.setdefault(name, []).append((connection, number))

    def answer_awaiting(self, name: str) -> None:
        """Answer the workers that wait for the first try of this lease's kill order."""
        for connection, number in self._awaiting.pop(name, []):
            self._connections.reply(
                connection, answer_frame(LeaseBrokenResult(self._reporter.result_of(name)), number)
            )

    # The main process.

    def await_report(self, connection: ClientConnection) -> None:
        """Send progress over this connection, and the report when each order has been tried."""
        self._reporting.append(connection)
        self.send_progress()

    def forget(self, connection: ClientConnection) -> None:
        """Send no more progress over this connection: it is closed."""
        if connection in self._reporting:
            self._reporting.remove(connection)

    def send_progress(self) -> None:
        """Send the state of all orders, or the report, to those that wait for the report."""
        if not self._reporting:
            return
        if self._is_tried:
            # Main ends when it gets the report. Before that the report is written for others, and
            # main can still print what could not be written.
            self._recorder.when_written(self._send_report)
            return
        self._sent_at = self._loop.clock()
        # What runs after the kill has a limit in the main process too, and needs no sign of life.
        self._plan_progress(None if self._after.busy else _BEAT_SECONDS)
        progress = self._reporter.progress(
            self._interruption.seconds, self._interruption.skips_grace
        )
        for connection in list(self._reporting):
            self._connections.reply(connection, report_frame(progress))

    def note_tried(self) -> None:
        """Send the report if this order was the last one, and the progress now or soon if not."""
        wait = self._sent_at + _NEWS_SECONDS - self._loop.clock()
        if self._reporting and wait > 0 and not self._is_tried:
            self._plan_progress(wait)
        else:
            self.send_progress()

    def _plan_progress(self, seconds: float | None) -> None:
        if self._next_progress is not None:
            self._next_progress.cancel()
        self._next_progress = (
            None if seconds is None else self._loop.after(seconds, self.send_progress)
        )

    @property
    def _is_tried(self) -> bool:
        return self._dispatcher.untried == 0 and not self._after.busy

    def _send_report(self) -> None:
        if not self._is_tried:
            return
        reporting, self._reporting = self._reporting, []
        for connection in reporting:
            self.send_report(connection)

    def send_report(self, connection: ClientConnection) -> None:
        """Send the report as it is now."""
        report = self._reporter.report(self._interruption.cause)
        self._connections.reply(connection, report_frame(report))
        self._recorder.warnings_are_sent()
        self.is_reported = True

    # Journal, report and after_kill.

    def write_down(self) -> None:
        """Record the results of the orders, and write the report when each order has been tried."""
        self._recorder.closed(self._leases.closed)
        if not self._dispatcher.untried:
            self._recorder.record_report(
                self._reporter.report(self._interruption.cause),
                complete=bool(self._interruption.cause)
                and not self._always.is_on
                and not self._leases.unclosed,
            )

    def begin_after(self, run: str) -> None:
        """Start the run after the kill, once, when every host has been tried.

        It comes after the `always` sections.
        """
        cause = self._interruption.cause
        if (
            cause
            and not self._always.is_on
            and self._dispatcher.untried == 0
            and self._after.wanted
        ):
            self._after.begin(run, cause, after_hosts(self._leases, self._after.exempted))
