# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a guardian writes down of its run: the journal as it goes, and the report of an interruption.

Nothing here stops a kill, or waits for a disk: what can't be written is told to the user, once for each file, and the run goes on.
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
    Closed,
    Controller,
    Detached,
    Done,
    Interrupted,
    JournalRecord,
    Opened,
    Over,
    RunHead,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records.writer_orders import (
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

#: How long a guardian that has nothing else to do waits for the writer to take what is left.
_LAST_SECONDS = 300.0


class RunRecorder:
    """One for each run. Made in the process that starts the guardian, and used by the guardian."""

    def __init__(self, run: str, pid: int, options: RecordOptions) -> None:
        """`pid`: of the main process."""
        self.warnings: list[str] = []
        """What could not be written, for the user."""
        self.records = Records(run, _head(pid), options)
        self._warned: set[str] = set()
        self._writer: socket.socket | None = None
        self._queue: WriterQueue | None = None
        self._closed = 0
        self._interrupted: str | None = None
        self._complete = False

    def start_writer(self, starter: socket.socket) -> None:
        """In the guardian, before it serves. The process that has started it learns by `starter` how the journal began."""
        try:
            self._writer = start_writer(self.records, starter)
        except OSError as error:
            self._failed("", str(error.strerror or error))

    def serve(self, loop: Loop) -> None:
        """From now on what is to be written goes to the writer."""
        if self._writer is not None:
            self._queue = WriterQueue(loop, self._writer, self._failed)

    # The journal.

    def opened(self, lease: Lease) -> None:
        """Right after the answer: what is written down late is not known of a controller that was lost."""
        self._add(Opened(lease.lease, lease.host))

    def done(self, lease: str) -> None:
        """Record that the command of a lease has returned."""
        self._add(Done(lease))

    def detached(self, lease: str) -> None:
        """Record that an asynchronous job outlives its task."""
        self._add(Detached(lease))

    def interrupted(self, cause: str) -> None:
        """Record the interruption of the run."""
        self._interrupted = _now()
        self._add(Interrupted(cause, self._interrupted))

    def closed(self, closed: t.Sequence[tuple[Lease, LeaseResult]]) -> None:
        """Record what became of these leases: all that are closed, of which those are written that are new."""
        for lease, result in closed[self._closed :]:
            report = result.report
            ended, survivors = (len(report.gone), len(report.survivors)) if report else (0, 0)
            self._add(Closed(lease.lease, result.outcome, ended, survivors, _now()))
        self._closed = len(closed)

    def over(self, loop: Loop) -> None:
        """Nothing is left to do, but for the writer to take what is left."""
        queue = self._queue
        if queue is not None:
            if self.records.options.journal_path:
                queue.write_last_line(
                    Over("interrupted" if self._interrupted else "finished", _now())
                )
            deadline = loop.clock() + _LAST_SECONDS
            loop.after(_LAST_SECONDS, lambda: None)
            loop.run_while(lambda: not queue.empty and loop.clock() < deadline)

    def _add(self, record: JournalRecord) -> None:
        if self._queue is not None and self.records.options.journal_path:
            self._queue.write_line(record)

    # The report.

    def record_report(self, report: RunReport, complete: bool) -> None:
        """Write the report, or write it again when more has come. Nothing to tell is not written."""
        # An ordinary run of network devices, which nothing has interrupted, has nothing to tell.
        news = report.results or self._interrupted and report.unguarded
        if (
            self._queue is not None
            and self.records.options.report_path
            and news
            and not (complete and self._complete)
        ):
            self._complete = complete
            self._queue.write_report(ReportOrder(report, complete, self._interrupted, _now()))

    def when_written(self, call: t.Callable[[], None]) -> None:
        """Call once, when all until now is on the disk or the disk has not answered in time."""
        if self._queue is None:
            call()
        else:
            self._queue.when_written(call)

    def _failed(self, what: str, reason: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            self.warnings.append(self.records.warning(what, reason))


def _head(pid: int) -> RunHead:
    """Return who runs what. Of the command line only what names files: the rest may hold secrets."""
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
    """Add a line to the journal where there is no guardian that could. What can't be written is not known of the run.

    Directly, and not by another process: where no guardian can be had, it is mostly since there can be no other process.
    """
    if options.journal_path:
        with contextlib.suppress(OSError, ValueError):
            append(options.journal_path, run, [record])


def end_without_guardian(options: RecordOptions, run: str) -> None:
    """Note that the run has come to its own end. What is open in the journal by then has not returned, as far as anybody knows."""
    note_without_guardian(options, run, Over("finished", _now()))


def _now() -> str:
    return (
        datetime.datetime.now(datetime.timezone.utc)
        .isoformat(timespec="seconds")
        .replace("+00:00", "Z")
    )
