# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The writer: a process of the guardian that writes journal and report.

A disk that does not answer delays neither guardian nor run.

A thread would not do. The guardian forks couriers. A process ends only when all its threads do, and
a thread that waits for a frozen file system does not.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import (
    MAX_REPORT_BYTES,
    FrameReader,
    encode,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records import due, report_file
from ansible_collections.treekill.remote.plugins.plugin_utils._records.atomic_file import replace
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_records import (
    RemindedRecord,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_writer import (
    Bounds,
    JournalWriter,
    prune,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records.writer_orders import (
    DueNotice,
    LineOrder,
    RemindedOrder,
    ReportOrder,
    SyncAnswer,
    SyncOrder,
    WriteFailure,
    WriterAnswer,
    WriterOrder,
    read_order,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import leave_parent
from ansible_collections.treekill.remote.plugins.plugin_utils._system.leftovers import (
    remove_leftovers,
)

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import RecordOptions
    from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_records import (
        RunHead,
    )

#: Seconds for which the process that starts a guardian waits for the start of the journal.
_BEGIN_SECONDS = 2.0

_GO = b"g"


@dataclasses.dataclass(frozen=True)
class Records:
    """The content and the place of the records of a run."""

    run: str
    head: RunHead
    options: RecordOptions

    def __bool__(self) -> bool:
        return bool(self.options.journal_path or self.options.report_path)

    def place(self, what: str) -> str:
        """Return the path of the journal or of the report; both paths for an empty `what`."""
        places = {"journal": self.options.journal_path, "report": self.options.report_path}
        return places.get(what) or " and ".join(filter(None, places.values()))

    def warning(self, what: str, reason: str) -> str:
        """Return the warning that a record could not be written."""
        return (
            f"treekill.remote: the {what or 'record'} of this run can't be written"
            f" to {self.place(what)}: {reason}. The run is guarded all the same."
        )


# In the process that starts the guardian.


def await_beginning(records: Records, writer: socket.socket) -> tuple[list[str], int | None]:
    """Return warnings for the user, and a descriptor that holds the journal's lock.

    This process keeps the descriptor as long as it belongs to the run. A journal without a lock is
    not written: the run would count as dead, and be swept.
    """
    writer.settimeout(_BEGIN_SECONDS)
    try:
        content, (*locks,), *dummy = socket.recv_fds(
            writer, 65536, 1, socket.MSG_CMSG_CLOEXEC if hasattr(socket, "MSG_CMSG_CLOEXEC") else 0
        )
        warnings: list[str] = json.loads(content)
        writer.send(_GO)
    except TimeoutError:
        return [records.warning("journal", "its disk does not answer")], None
    except (OSError, ValueError):
        return [], None  # The guardian is gone. The next message to it will fail.
    return warnings, locks[0] if locks else None


# In the guardian.


def start_writer(records: Records, starter: socket.socket) -> socket.socket:
    """Start a writer, and return the connection to it. It uses `starter` to report its start.

    Raises:
        OSError: there can be no other process.
    """
    here, there = socket.socketpair()
    try:
        pid = os.fork()
    except OSError:
        here.close()
        there.close()
        raise
    if pid == 0:
        _be_writer(records, there, starter)
    there.close()
    return here


# In the writer.


def _be_writer(records: Records, orders: socket.socket, starter: socket.socket) -> t.NoReturn:
    try:
        leave_parent(signal.SIG_IGN, orders.fileno(), starter.fileno())
        writer = Writer(records, orders)
        writer.begin_journal(starter)
        writer.serve()
        # Last, because no process waits for it.
        remove_leftovers()
    finally:
        os._exit(0)


class Writer:
    """Executor of the guardian's orders. It takes one after the other, and waits for the disk."""

    def __init__(self, records: Records, orders: socket.socket) -> None:
        self._records = records
        self._orders = orders
        options = records.options
        self._journal = (
            JournalWriter(options.journal_path, records.run, records.head)
            if options.journal_path
            else None
        )

    def begin_journal(self, starter: socket.socket) -> None:
        """Make the journal's file, and pass on its lock.

        If the main process has not taken the lock, nothing is written of its run.
        """
        warnings: list[str] = []
        journal = self._journal
        if journal is not None:
            reason = _tried(journal.make_file)
            if reason:
                warnings.append(self._records.warning("journal", reason))
                self._journal = journal = None
        try:
            socket.send_fds(
                starter,
                [json.dumps(warnings).encode()],
                [journal.lock] if journal is not None and journal.lock is not None else [],
            )
            taken = starter.recv(1) == _GO
        except OSError:
            taken = False
        starter.close()
        if journal is None:
            return
        if not taken:
            _tried(journal.abandon)
            self._journal = None
            return
        self._try("journal", journal.continue_file)
        self._try(
            "journal",
            lambda: prune(
                journal.directory,
                Bounds(self._records.options.journal_days, self._records.options.journal_size),
            ),
        )

        self._try("journal", lambda: self._remind(journal.directory))

    def _remind(self, directory: str) -> None:
        found = due.due(directory)
        if found:
            self._answer(DueNotice(tuple(entry.run for entry in found), due.reminder(found)))

    def serve(self) -> None:
        """Serve as long as the guardian lives, and carry out all of its orders."""
        reader = FrameReader(MAX_REPORT_BYTES)
        while chunk := self._orders.recv(262144):
            for frame in reader.feed(chunk):
                self._carry_out(read_order(frame))

    def _carry_out(self, order: WriterOrder) -> None:
        journal = self._journal
        if isinstance(order, SyncOrder):
            self._answer(SyncAnswer(order.sync))
        elif isinstance(order, ReportOrder):
            self._try("report", lambda: self._write_report(order))
        elif isinstance(order, RemindedOrder):
            if journal is not None:
                told = RemindedRecord(order.at)
                self._try("journal", lambda: due.note(journal.directory, order.reminded, told))
        elif journal is not None:
            write = journal.write_line if isinstance(order, LineOrder) else journal.write_last_line
            self._try("journal", lambda: write(order.record))

    def _write_report(self, order: ReportOrder) -> None:
        content = report_file.content(self._records.head, order)
        replace(report_file.path_for(self._records.options.report_path, self._records.run), content)

    def _try(self, what: str, write: t.Callable[[], object]) -> None:
        reason = _tried(write)
        if reason:
            self._answer(WriteFailure(what, reason))

    def _answer(self, answer: WriterAnswer) -> None:
        try:
            self._orders.sendall(encode(answer.to_message()))
        except OSError:
            pass  # The guardian is gone. Its orders are still carried out.


def _tried(write: t.Callable[[], object]) -> str:
    """Return why it could not be written; empty if it was."""
    try:
        write()
    except (OSError, ValueError, TypeError, KeyError) as error:
        # A host may have sent something that can't be written.
        return (
            error.strerror
            if isinstance(error, OSError) and error.strerror
            else f"{type(error).__name__}: {error}"
        )
    return ""
