# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a guardian writes down of its run: the journal as it goes, and the report of an interruption.

This file is private to the collection treekill.remote.

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
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import JsonObject
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import LeaseResult, RunReport
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal import Controller, append
from ansible_collections.treekill.remote.plugins.plugin_utils._records.writer_process import Records, start_writer
from ansible_collections.treekill.remote.plugins.plugin_utils._records.writer_queue import WriterQueue

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import RecordOptions
    from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop

_LAST_SECONDS = 300.0
"""How long a guardian that has nothing else to do waits for the writer to take what is left."""


class RunRecorder:
    """One for each run. Made in the process that starts the guardian, and used by the guardian."""

    def __init__(self, run: str, pid: int, options: RecordOptions) -> None:
        """`pid`: of the main process."""
        self.warnings: list[str] = []
        """What could not be written, for the user."""
        self.records = Records(run, _head(pid), options)
        self._told: set[str] = set()
        self._writer: socket.socket | None = None
        self._queue: WriterQueue | None = None
        self._closed = 0
        self._interrupted: str | None = None
        self._complete = False

    def start_writer(self, teller: socket.socket) -> None:
        """In the guardian, before it serves. The process that has started it learns by `teller` how the journal began."""
        try:
            self._writer = start_writer(self.records, teller)
        except OSError as error:
            self._failed("", str(error.strerror or error))

    def serve(self, loop: Loop) -> None:
        """From now on what is to be written goes to the writer."""
        if self._writer is not None:
            self._queue = WriterQueue(loop, self._writer, self._failed)

    # The journal.

    def opened(self, lease: Lease) -> None:
        """Right after the answer: what is written down late is not known of a controller that was lost."""
        self._add({"opened": lease.lease, "host": lease.host})

    def done(self, lease: str) -> None:
        """Record that the command of a lease has returned."""
        self._add({"done": lease})

    def detached(self, lease: str) -> None:
        """Record that an asynchronous job outlives its task."""
        self._add({"detached": lease})

    def interrupted(self, cause: str) -> None:
        """Record the interruption of the run."""
        self._interrupted = _now()
        self._add({"interrupted": cause, "at": self._interrupted})

    def closed(self, closed: t.Sequence[tuple[Lease, LeaseResult]]) -> None:
        """Record what became of these leases: all that are closed, of which those are written that are new."""
        for lease, result in closed[self._closed :]:
            report = result.report
            counts = {"ended": len(report.gone) if report else 0, "survivors": len(report.survivors) if report else 0}
            self._add({"settled": lease.lease, "outcome": result.outcome.value, **counts, "at": _now()})
        self._closed = len(closed)

    def over(self, loop: Loop) -> None:
        """Nothing is left to do, but for the writer to take what is left."""
        queue = self._queue
        if queue is not None:
            if self.records.options.journal_path:
                queue.end({"over": "interrupted" if self._interrupted else "finished", "at": _now()})
            deadline = loop.clock() + _LAST_SECONDS
            loop.after(_LAST_SECONDS, lambda: None)
            loop.run_while(lambda: not queue.empty and loop.clock() < deadline)

    def _add(self, record: dict[str, t.Any]) -> None:
        if self._queue is not None and self.records.options.journal_path:
            self._queue.add(record)

    # The report.

    def report(self, report: RunReport, complete: bool) -> None:
        """Write the report, or write it again when more has come. Nothing to tell is not written."""
        # An ordinary run of network devices, which nothing has interrupted, has nothing to tell.
        news = report.results or self._interrupted and report.unguarded
        if self._queue is not None and self.records.options.report_path and news and not (complete and self._complete):
            self._complete = complete
            self._queue.report({"report": report.to_message(), "complete": complete, "interrupted": self._interrupted, "written": _now()})

    def when_written(self, call: t.Callable[[], None]) -> None:
        """Call once, when all until now is on the disk or the disk has not answered in time."""
        if self._queue is None:
            call()
        else:
            self._queue.when_written(call)

    def _failed(self, what: str, reason: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self.warnings.append(self.records.warning(what, reason))


def _head(pid: int) -> dict[str, t.Any]:
    """Who runs what. Of the command line only what names files: the rest may hold secrets."""
    controller = Controller.here()
    program = os.path.basename(sys.argv[0])
    playbooks = command_line().get("args") or () if program == "ansible-playbook" else ()
    return {
        "began": _now(),
        "user": _user(),
        "controller": {"host": controller.host, "boot": controller.boot},
        "pid": pid,
        "program": program,
        "playbooks": [os.path.abspath(str(playbook)) if os.path.exists(str(playbook)) else str(playbook) for playbook in _listed(playbooks)],
        "inventory": [str(source) if "," in str(source) else os.path.abspath(str(source)) for source in _listed(command_line().get("inventory") or ())],
    }


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def note_without_guardian(options: RecordOptions, run: str, record: JsonObject) -> None:
    """Add a line to the journal where there is no guardian that could. What can't be written is not known of the run.

    Directly, and not by another process: where no guardian can be had, it is mostly since there can be no other process.
    """
    if options.journal_path:
        with contextlib.suppress(OSError, ValueError):
            append(options.journal_path, run, [record])


def end_without_guardian(options: RecordOptions, run: str) -> None:
    """Note that the run has come to its own end. What is open in the journal by then has not returned, as far as anybody knows."""
    note_without_guardian(options, run, {"over": "finished", "at": _now()})


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
