# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The records of a guardian: the journal during the run, and the report of an interruption.

Nothing here stops a kill, or waits for a disk. If something can't be written, the user gets one
warning for each file, and the run continues.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import pwd
import socket
import sys
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._core.display import command_line
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    LeaseResult,
    RunReport,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal import append
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_records import (
    ClosedRecord,
    Controller,
    DetachedRecord,
    DoneRecord,
    InterruptedRecord,
    JournalRecord,
    OpenedRecord,
    OverRecord,
    RunHead,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records.writer_orders import (
    DueNotice,
    RemindedOrder,
    ReportOrder,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records.writer_process import (
    Records,
    start_writer,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records.writer_queue import (
    WriterQueue,
)

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import RecordOptions
    from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop

#: Seconds that a guardian with no other work waits for the writer to take the rest.
_LAST_SECONDS = 300.0


class RunRecorder:
    """Recorder of one run.

    The process that starts the guardian makes it, and the guardian uses it.
    """

    def __init__(self, run: str, pid: int, options: RecordOptions) -> None:
        """`pid`: of the main process."""
        #: Warnings for the user: what could not be written, and what else goes wrong.
        self.warnings: list[str] = []
        self.records = Records(run, _head(pid), options)
        self._warned: set[str] = set()
        self._writer: socket.socket | None = None
        self._queue: WriterQueue | None = None
        self._closed = 0
        self._interrupted: str | None = None
        self._complete = False
        #: The reminder of a sweep that is due, and the runs that it is about.
        self._due = DueNotice((), "")
        self._reminds = True
        self._reminded = False

    def start_writer(self, starter: socket.socket) -> None:
        """Start the writer. The guardian does so before it serves.

        Through `starter`, the process that has started the guardian learns how the journal began.
        """
        try:
            self._writer = start_writer(self.records, starter)
        except OSError as error:
            self._failed("", str(error.strerror or error))

    def serve(self, loop: Loop) -> None:
        """Send all further records to the writer."""
        if self._writer is not None:
            self._queue = WriterQueue(loop, self._writer, self._failed, self._sweep_is_due)

    # The journal.

    def opened(self, lease: Lease) -> None:
        """Record a new lease, right after the answer.

        A record that is late would be missing if the controller is lost.
        """
        self._add(OpenedRecord(lease.lease, lease.host, lease.terms.address))

    def done(self, lease: str) -> None:
        """Record that the command of a lease has returned."""
        self._add(DoneRecord(lease))

    def detached(self, lease: str) -> None:
        """Record that an asynchronous job outlives its task."""
        self._add(DetachedRecord(lease))

    def interrupted(self, cause: str) -> None:
        """Record the interruption of the run."""
        self._interrupted = _now()
        self._add(InterruptedRecord(cause, self._interrupted))

    def closed(self, closed: t.Sequence[tuple[Lease, LeaseResult]]) -> None:
        """Record the results of these leases.

        They are all closed ones, and only new ones are written.
        """
        for lease, result in closed[self._closed :]:
            report = result.report
            # What was left to finish is alive as well: a later sweep looks for it.
            ended, survivors = (
                (len(report.gone), len(report.survivors) + len(report.finishing))
                if report
                else (0, 0)
            )
            self._add(ClosedRecord(lease.lease, result.outcome, ended, survivors, _now()))
        self._closed = len(closed)

    def over(self, loop: Loop) -> None:
        """Record the end of the run, and wait for the writer to take the rest."""
        queue = self._queue
        if queue is not None:
            if self.records.options.journal_path:
                queue.write_last_line(
                    OverRecord("interrupted" if self._interrupted else "finished", _now())
                )
            deadline = loop.clock() + _LAST_SECONDS
            loop.after(_LAST_SECONDS, lambda: None)
            loop.run_while(lambda: not queue.empty and loop.clock() < deadline)

    def _add(self, record: JournalRecord) -> None:
        if self._queue is not None and self.records.options.journal_path:
            self._queue.write_line(record)

    # The report.

    def record_report(self, report: RunReport, complete: bool) -> None:
        """Write the report, or write it again with more results. An empty report is not written."""
        # An ordinary run of network devices without an interruption has no news.
        news = report.results or self._interrupted and (report.unguarded or report.always)
        if (
            self._queue is not None
            and self.records.options.report_path
            and news
            and not (complete and self._complete)
        ):
            self._complete = complete
            self._queue.write_report(ReportOrder(report, complete, self._interrupted, _now()))

    def when_written(self, call: t.Callable[[], None]) -> None:
        """Call once, when all records are on the disk or the disk has not answered in time."""
        if self._queue is None:
            call()
        else:
            self._queue.when_written(call)

    def _sweep_is_due(self, news: DueNotice) -> None:
        self._due = news

    def remind_of_nothing(self) -> None:
        """Leave the reminder of a sweep to a later run: this one sweeps."""
        self._reminds = False

    @property
    def reminder(self) -> tuple[str, ...]:
        """The warning that a sweep is due, if it is and the user is to be reminded."""
        return (self._due.reminder,) if self._reminds and self._due.due else ()

    def warnings_are_sent(self) -> None:
        """Note which earlier runs the main process reminds of: it has the warnings."""
        if self.reminder and not self._reminded and self._queue is not None:
            self._queue.note_reminded(RemindedOrder(self._due.due, _now()))
            self._reminded = True

    def _failed(self, what: str, reason: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            self.warnings.append(self.records.warning(what, reason))


def _head(pid: int) -> RunHead:
    """Return the user and the command of the run.

    Of the command line, it has only the names of files: the rest may hold secrets.
    """
    program = os.path.basename(sys.argv[0])
    playbooks = command_line().get("args") or () if program == "ansible-playbook" else ()
    inventory = command_line().get("inventory") or ()
    return RunHead(
        began=_now(),
        user=_user(),
        controller=Controller.here(),
        pid=pid,
        program=program,
        playbooks=tuple(
            os.path.abspath(str(playbook)) if os.path.exists(str(playbook)) else str(playbook)
            for playbook in _listed(playbooks)
        ),
        inventory=tuple(
            str(source) if "," in str(source) else os.path.abspath(str(source))
            for source in _listed(inventory)
        ),
    )


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def note_without_guardian(options: RecordOptions, run: str, record: JournalRecord) -> None:
    """Add a line to the journal without a guardian. A line that can't be written is lost.

    This process writes it itself. A guardian is mostly missing because there can be no other
    process.
    """
    if options.journal_path:
        with contextlib.suppress(OSError, ValueError):
            append(options.journal_path, run, [record])


def end_without_guardian(options: RecordOptions, run: str) -> None:
    """Record that the run has ended by itself.

    Leases that are open in the journal by then have not returned, as far as is known.
    """
    note_without_guardian(options, run, OverRecord("finished", _now()))


def _now() -> str:
    return (
        datetime.datetime.now(datetime.timezone.utc)
        .isoformat(timespec="seconds")
        .replace("+00:00", "Z")
    )
