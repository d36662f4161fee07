# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a guardian writes down of its run: the journal as it goes, and the report of an interruption.

This file is private to the collection treekill.remote.

Nothing here stops a kill: what can't be written is told to the user, once for each file, and the run goes on.
"""

from __future__ import annotations

import datetime
import os
import pwd
import sys
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils import _run_report
from ansible_collections.treekill.remote.plugins.plugin_utils._atomic_file import replace
from ansible_collections.treekill.remote.plugins.plugin_utils._core_terms import command_line
from ansible_collections.treekill.remote.plugins.plugin_utils._journal import Controller
from ansible_collections.treekill.remote.plugins.plugin_utils._journal_writer import Bounds, JournalWriter, prune
from ansible_collections.treekill.remote.plugins.plugin_utils._ledger import Lease, Settlement
from ansible_collections.treekill.remote.plugins.plugin_utils._wire import Message

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._options import RecordOptions


class Chronicle:
    """One for each run. Made in the process that starts the guardian, and used by the guardian."""

    def __init__(self, run: str, pid: int, options: RecordOptions) -> None:
        """`pid`: of the main process."""
        self.warnings: list[str] = []
        """What could not be written, for the user."""
        self._run = run
        self._head = _head(pid)
        self._told: set[str] = set()
        self._report_path, self._journal_path = options.report_path, options.journal_path
        self._bounds = Bounds(options.journal_days, options.journal_size)
        self._journal = JournalWriter(options.journal_path, run, self._head) if options.journal_path else None
        self._settled = 0
        self._interrupted: str | None = None
        self._complete = False

    # The journal.

    def begin(self) -> list[str]:
        """In the process that starts the guardian. What can't be done, in words for the user; the journal is left alone then."""
        if self._journal is not None and not self._try("journal", self._journal.begin):
            self._journal = None
        warnings, self.warnings = self.warnings, []
        return warnings

    def take_over(self) -> None:
        """In the guardian, once it has left its parent."""
        if self._journal is not None:
            journal = self._journal
            self._try("journal", journal.take_over)
            self._try("journal", lambda: prune(journal.directory, self._bounds))

    def let_go(self) -> None:
        """In a process that has started a guardian, and goes on after the run."""
        if self._journal is not None:
            self._journal.let_go()

    def opened(self, lease: Lease) -> None:
        """Before the command goes out: what is written down late is not known of a controller that was lost."""
        self._add({"opened": lease.lease, "host": lease.host})

    def done(self, lease: str) -> None:
        self._add({"done": lease})

    def interrupted(self, cause: str) -> None:
        self._interrupted = _now()
        self._add({"interrupted": cause, "at": self._interrupted})

    def settled(self, settled: t.Sequence[tuple[Lease, Settlement]]) -> None:
        """All that is settled until now; what is new of it is written."""
        for lease, settlement in settled[self._settled :]:
            report = settlement.report or {"gone": (), "survivors": ()}
            counts = {"ended": len(report["gone"]), "survivors": len(report["survivors"])}
            self._add({"settled": lease.lease, "outcome": settlement.outcome.value, **counts, "at": _now()})
        self._settled = len(settled)

    def over(self) -> None:
        """Nothing is left to do."""
        if self._journal is not None:
            journal = self._journal
            self._try("journal", lambda: journal.end({"over": "interrupted" if self._interrupted else "finished", "at": _now()}))

    def _add(self, record: dict[str, t.Any]) -> None:
        if self._journal is not None:
            journal = self._journal
            self._try("journal", lambda: journal.add(record))

    # The report.

    def report(self, report: Message, complete: bool) -> None:
        """Write the report, or write it again when more has come. Nothing to tell is not written."""
        path = self._report_path
        if path and report["results"] and not (complete and self._complete):
            self._complete = complete
            written = _run_report.content(self._head, report, complete, self._interrupted, _now())
            self._try("report", lambda: replace(_run_report.path_for(path, self._run), written))

    def _try(self, what: str, write: t.Callable[[], object]) -> bool:
        try:
            write()
        except (OSError, ValueError, TypeError, KeyError) as error:
            # A host may have sent what can't be written down; a fault of our own must not end the guardian either, which has trees to end.
            if what not in self._told:
                self._told.add(what)
                place = self._report_path if what == "report" else self._journal_path
                reason = error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"
                self.warnings.append(f"treekill.remote: the {what} of this run can't be written to {place}: {reason}. The run is guarded all the same.")
            return False
        return True


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


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
