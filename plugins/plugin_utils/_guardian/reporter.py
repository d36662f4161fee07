# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a run, made from the state of its guardian. Nothing here changes that state."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    AlwaysOutcome,
    KillProgress,
    LeaseResult,
    Outcome,
    ReportedLease,
    RunReport,
    UnguardedConnection,
)

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.run import AfterRun
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


class RunReporter:
    """Maker of reports about one run."""

    def __init__(
        self,
        run: str,
        leases: LeaseTable,
        dispatcher: Dispatcher,
        after: AfterRun,
        recorder: RunRecorder,
    ) -> None:
        self._run = run
        self._leases = leases
        self._dispatcher = dispatcher
        self._after = after
        self._recorder = recorder
        #: (host, connection) to the reason why its commands can't be guarded.
        self._unguarded: dict[tuple[str, str], str] = {}
        #: What became of the `always` sections, as the main process reports it at its end.
        self.always: tuple[AlwaysOutcome, ...] = ()

    def note_unguarded(self, host: str, connection: str, reason: str) -> bool:
        """Remember a connection that can't be guarded. Return whether it was not known before."""
        known = (host, connection) in self._unguarded
        self._unguarded.setdefault((host, connection), reason)
        return not known

    def progress(self, seconds: float, skips_grace: bool) -> KillProgress:
        """Return the state of all kill orders.

        Args:
            seconds: since the interruption.
            skips_grace: whether the rest of the grace period is skipped.
        """
        unclosed = self._leases.unclosed
        grace = max((lease.terms.timeout for lease in unclosed), default=0.0)
        hosts = {lease.host for lease in unclosed} | {
            lease.host for lease, dummy in self._leases.closed
        }
        return KillProgress(
            untried=self._dispatcher.untried,
            grace=grace,
            left=max(grace - seconds, 0.0),
            hosts=len(hosts),
            # A host that is tried again later is not done.
            hosts_done=len(hosts - {lease.host for lease in unclosed}),
            skips_grace=skips_grace,
            after_kill=self._after.progress(),
            finishing=self._dispatcher.finishing,
        )

    def report(self, cause: str) -> RunReport:
        """Return the report as it is now. `cause`: of the interruption; empty without one."""
        return RunReport(
            run=self._run,
            cause=cause,
            guardian=os.getpid(),
            results=self._results(),
            unguarded=tuple(
                UnguardedConnection(*where, reason)
                for where, reason in sorted(self._unguarded.items())
            ),
            warnings=(*self._recorder.warnings, *self._recorder.reminder),
            after_kill=self._after.report(),
            always=self.always,
        )

    def result_of(self, name: str) -> ReportedLease | None:
        """Return the result of one broken lease; None for a lease that is not broken."""
        return next((result for result in self._results() if result.lease == name), None)

    def _results(self) -> tuple[ReportedLease, ...]:
        open_orders = [(lease, self.without_result(lease)) for lease in self._leases.unclosed]
        return tuple(
            _reported(lease, result) for lease, result in (*self._leases.closed, *open_orders)
        )

    def without_result(self, lease: Lease) -> LeaseResult:
        """Return the state of an order that has no result yet."""
        reason = self._dispatcher.waiting.get(lease.lease)
        return (
            LeaseResult(Outcome.UNDER_WAY, "no answer yet")
            if reason is None
            else LeaseResult(Outcome.TRYING, reason)
        )


def _reported(lease: Lease, result: LeaseResult) -> ReportedLease:
    return ReportedLease(
        host=lease.host,
        task=lease.task,
        lease=lease.lease,
        outcome=result.outcome,
        reason=result.reason,
        report=result.report,
        retry_for=lease.terms.retry_for,
        payload=lease.terms.payload,
    )
