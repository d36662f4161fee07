# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guardian's end of the connection to the writer.

It holds what the writer has not read yet, and learns from the writer what is written.

Nothing here waits. While the disk does not answer, the writer does not read. The queue then grows
with the number of open leases, and not with the length of the run.
"""

from __future__ import annotations

import socket
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import (
    MAX_REPORT_BYTES,
    FrameError,
    FrameReader,
    encode,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_records import (
    DoneRecord,
    HostsRecord,
    JournalRecord,
    OpenedRecord,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records.writer_orders import (
    DueNotice,
    EndOrder,
    LineOrder,
    RemindedOrder,
    ReportOrder,
    SyncOrder,
    WriteFailure,
    WriterAnswer,
    WriterOrder,
    order_frame,
    read_writer_answer,
)

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import (
        Loop,
        Timer,
    )

#: Seconds for which the end of a run waits for the disk, once.
DISK_SECONDS = 1.0


class WriterQueue:
    """Queue of records and reports for the writer."""

    def __init__(
        self,
        loop: Loop,
        connection: socket.socket,
        failed: t.Callable[[str, str], None],
        due: t.Callable[[DueNotice], None] = lambda due: None,
    ) -> None:
        """Send nothing yet.

        Args:
            loop: of the guardian.
            connection: to the writer.
            failed: called with what could not be written (journal or report), and the reason.
            due: called if a sweep of earlier runs is due.
        """
        self._due = due
        self._loop = loop
        self._connection = connection
        self._failed = failed
        self._reader = FrameReader(MAX_REPORT_BYTES)
        #: Orders in the order of sending, by name. A later order replaces an earlier one of its
        #: name.
        self._pending: dict[str, WriterOrder] = {}
        self._partial = bytearray()
        self._number = 0
        #: The number that the writer must confirm before the waiting functions are called.
        self._asked = 0
        #: Whether the writer got anything since it last confirmed that all is written.
        self._unconfirmed = False
        self._waiting: list[t.Callable[[], None]] = []
        self._limit: Timer | None = None
        self._stuck = False
        self._gone = False
        connection.setblocking(False)
        loop.watch(connection.fileno(), self._read)

    @property
    def empty(self) -> bool:
        """Whether the writer has all of it, or will never read it."""
        return self._gone or not (self._pending or self._partial)

    def write_line(self, record: JournalRecord) -> None:
        """Write a line of the journal.

        A lease that is opened and done while the disk does not answer leaves only the name of its
        host.
        """
        pending = (
            self._pending.pop(f"opened/{record.lease}", None)
            if isinstance(record, DoneRecord)
            else None
        )
        if isinstance(pending, LineOrder) and isinstance(pending.record, OpenedRecord):
            host = pending.record.host
            self._put(f"host/{host}", LineOrder(HostsRecord((host,))))
        elif isinstance(record, OpenedRecord):
            self._put(f"opened/{record.lease}", LineOrder(record))
        else:
            self._put("", LineOrder(record))

    def write_report(self, order: ReportOrder) -> None:
        """Write the report in its present state. It replaces a report that is not sent yet."""
        self._pending.pop("report", None)
        self._put("report", order)

    def write_last_line(self, record: JournalRecord) -> None:
        """Write the last line of the journal."""
        self._put("", EndOrder(record))

    def note_reminded(self, order: RemindedOrder) -> None:
        """Note in the journal that the user was reminded."""
        self._put("", order)

    def when_written(self, call: t.Callable[[], None]) -> None:
        """Call once, when all records are on the disk or the disk has not answered in time.

        It is called at once if that is known already.
        """
        if self._gone or self._stuck or not self._unconfirmed:
            call()
            return
        if call not in self._waiting:
            self._waiting.append(call)
        if self._limit is None:
            self._limit = self._loop.after(DISK_SECONDS, self._give_up)
        self._put("sync", SyncOrder(0))

    def _put(self, name: str, order: WriterOrder) -> None:
        if self._gone:
            return
        self._number += 1
        self._unconfirmed = True
        if isinstance(order, SyncOrder):
            # It is sent after all earlier orders.
            self._pending.pop(name, None)
            order, self._asked = SyncOrder(self._number), self._number
        self._pending[name or f"{self._number}"] = order
        self._send()

    def _send(self) -> None:
        try:
            while self._pending or self._partial:
                if not self._partial:
                    self._partial += encode(
                        order_frame(self._pending.pop(next(iter(self._pending))))
                    )
                sent = self._connection.send(self._partial)
                del self._partial[:sent]
        except BlockingIOError:
            self._loop.when_writable(self._connection.fileno(), self._send)
        except OSError:
            self._writer_gone()
        else:
            self._loop.when_writable(self._connection.fileno(), None)

    def _read(self) -> None:
        try:
            chunk = self._connection.recv(65536)
            for frame in self._reader.feed(chunk):
                self._on_answer(read_writer_answer(frame))
        except BlockingIOError:
            return
        except (OSError, FrameError):
            chunk = b""
        if not chunk:
            self._writer_gone()

    def _on_answer(self, answer: WriterAnswer) -> None:
        if isinstance(answer, WriteFailure):
            self._failed(answer.failed, answer.reason)
        elif isinstance(answer, DueNotice):
            self._due(answer)
        else:
            self._unconfirmed = answer.synced != self._number
            self._stuck = False
            if answer.synced >= self._asked:
                self._call_waiting()

    def _give_up(self) -> None:
        self._stuck = True
        self._failed("", "its disk does not answer")
        self._call_waiting()

    def _writer_gone(self) -> None:
        """Report that the writer was killed."""
        if not self._gone:
            self._gone = True
            self._loop.unwatch(self._connection.fileno())
            self._connection.close()
            self._failed("", "the process that writes it is gone")
            self._call_waiting()

    def _call_waiting(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()
