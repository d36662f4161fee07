# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The orders of a guardian to its writer, and the answers."""

from __future__ import annotations

import dataclasses

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import JsonObject
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.json_record import (
    JsonRecord,
    MessageError,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import RunReport
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_records import (
    JournalRecord,
    line_of,
    read_record,
)


@dataclasses.dataclass(frozen=True)
class ReportOrder(JsonRecord):
    """An order to write the report. Times are in UTC."""

    report: RunReport
    #: Whether the report is final.
    complete: bool
    #: The time of the interruption. None if there was none, and commands did not return.
    interrupted: str | None
    #: The present time.
    written: str


@dataclasses.dataclass(frozen=True)
class LineOrder:
    """An order to append a line to the journal."""

    record: JournalRecord


@dataclasses.dataclass(frozen=True)
class EndOrder:
    """An order to write the last line of the journal."""

    record: JournalRecord


@dataclasses.dataclass(frozen=True)
class SyncOrder(JsonRecord):
    """An order to answer when all earlier orders are written. Answer: `SyncAnswer`."""

    #: A number that the answer repeats.
    sync: int


@dataclasses.dataclass(frozen=True)
class RemindedOrder(JsonRecord):
    """An order to note that the user was reminded of these runs."""

    reminded: tuple[str, ...]
    at: str


WriterOrder = ReportOrder | LineOrder | EndOrder | SyncOrder | RemindedOrder


@dataclasses.dataclass(frozen=True)
class SyncAnswer(JsonRecord):
    """The answer that all orders before the one with this number are written."""

    synced: int


@dataclasses.dataclass(frozen=True)
class WriteFailure(JsonRecord):
    """The answer that something could not be written."""

    #: C(journal) or C(report); empty for both.
    failed: str
    reason: str


@dataclasses.dataclass(frozen=True)
class DueNotice(JsonRecord):
    """The news that a sweep of these runs is due, and the reminder of it."""

    due: tuple[str, ...]
    reminder: str


#: What the writer sends.
WriterAnswer = SyncAnswer | WriteFailure | DueNotice


def order_frame(order: WriterOrder) -> JsonObject:
    """Return an order as the content of a frame."""
    match order:
        case ReportOrder():
            return {"report": order.to_message()}
        case LineOrder():
            return {"add": line_of(order.record)}
        case EndOrder():
            return {"end": line_of(order.record)}
        case SyncOrder() | RemindedOrder():
            return order.to_message()


def read_order(frame: JsonObject) -> WriterOrder:
    """Return the order in a frame. Raises MessageError if it holds none."""
    if "report" in frame:
        return ReportOrder.from_message(frame["report"])
    if "sync" in frame:
        return SyncOrder.from_message(frame)
    if "reminded" in frame:
        return RemindedOrder.from_message(frame)
    kind, content = (LineOrder, frame["add"]) if "add" in frame else (EndOrder, frame.get("end"))
    record = read_record(content) if isinstance(content, dict) else None
    if record is None:
        raise MessageError("an order to the writer is of no known kind")
    return kind(record)


def read_writer_answer(frame: JsonObject) -> WriterAnswer:
    """Return the writer's answer in a frame. Raises MessageError if it holds none."""
    if "due" in frame:
        return DueNotice.from_message(frame)
    return WriteFailure.from_message(frame) if "failed" in frame else SyncAnswer.from_message(frame)
