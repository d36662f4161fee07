# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines of a journal, each as a type.

docs/report.md documents the format.

All versions of the collection that a user has share one journal. So a reader skips keys that it
does not know, and converts values.
"""

from __future__ import annotations

import dataclasses
import socket
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.json_record import JsonRecord
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import Outcome

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import JsonObject

VERSION = 1


@dataclasses.dataclass(frozen=True)
class Controller(JsonRecord):
    """The machine of a run, as far as a process on it can identify it."""

    host: str
    #: The kernel's id of this boot; empty if it has none.
    boot: str

    @classmethod
    def here(cls) -> Controller:
        """Return this machine."""
        return cls(socket.gethostname(), text_of("/proc/sys/kernel/random/boot_id"))


def text_of(path: str) -> str:
    """Return the content of a file of /proc; empty if it can't be read."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


@dataclasses.dataclass(frozen=True)
class RunHead(JsonRecord):
    """The first line of a journal, and the head of a report: the user and the command of a run.

    Times are ISO 8601 in UTC.
    """

    began: str
    user: str
    controller: Controller
    #: The pid of the main process.
    pid: int
    program: str
    playbooks: tuple[str, ...]
    inventory: tuple[str, ...]

    @classmethod
    def from_line(cls, line: t.Mapping[str, t.Any]) -> RunHead:
        """Read the JSON object of the line.

        Raises KeyError, TypeError or ValueError if it is no head.
        """
        return cls(
            began=str(line["began"]),
            user=str(line["user"]),
            controller=Controller(str(line["controller"]["host"]), str(line["controller"]["boot"])),
            pid=int(line["pid"]),
            program=str(line["program"]),
            playbooks=tuple(map(str, line["playbooks"])),
            inventory=tuple(map(str, line["inventory"])),
        )

    def to_line(self, run: str) -> JsonObject:
        """Return the JSON object of the line for that run."""
        return {"version": VERSION, "run": run, **self.to_message()}


@dataclasses.dataclass(frozen=True)
class UnknownOutcome:
    """An outcome that a later version of the collection has written."""

    value: str


@dataclasses.dataclass(frozen=True)
class HostsRecord:
    """Hosts on which the run has had leases."""

    hosts: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class OpenedRecord:
    """A lease was granted."""

    lease: str
    host: str
    #: What its connection connects to; empty if that is not known.
    address: str = ""


@dataclasses.dataclass(frozen=True)
class DoneRecord:
    """A lease was given back."""

    lease: str


@dataclasses.dataclass(frozen=True)
class DetachedRecord:
    """The asynchronous job of a lease outlives its task."""

    lease: str


@dataclasses.dataclass(frozen=True)
class ClosedRecord:
    """A broken lease was closed."""

    lease: str
    outcome: Outcome | UnknownOutcome
    ended: int
    survivors: int
    at: str


@dataclasses.dataclass(frozen=True)
class SweptRecord:
    """A sweep has found nothing of a lease alive on its host."""

    lease: str
    host: str


@dataclasses.dataclass(frozen=True)
class RemindedRecord:
    """A later run has told the user that a sweep of this one is due."""

    at: str


@dataclasses.dataclass(frozen=True)
class InterruptedRecord:
    """The run was interrupted. `cause`: the signal or event."""

    cause: str
    at: str


@dataclasses.dataclass(frozen=True)
class OverRecord:
    """The run is over. `state`: C(finished) or C(interrupted)."""

    state: str
    at: str


#: A line after the first.
JournalRecord = (
    HostsRecord
    | OpenedRecord
    | DoneRecord
    | DetachedRecord
    | ClosedRecord
    | SweptRecord
    | RemindedRecord
    | InterruptedRecord
    | OverRecord
)


def line_of(record: JournalRecord) -> JsonObject:
    """Return the JSON object of a line. Its first key gives its kind."""
    line: JsonObject
    match record:
        case HostsRecord():
            line = {"hosts": [*record.hosts]}
        case OpenedRecord():
            address = {"address": record.address} if record.address else {}
            line = {"opened": record.lease, "host": record.host, **address}
        case DoneRecord():
            line = {"done": record.lease}
        case DetachedRecord():
            line = {"detached": record.lease}
        case ClosedRecord():
            counts = {"ended": record.ended, "survivors": record.survivors}
            line = {
                "settled": record.lease,
                "outcome": record.outcome.value,
                **counts,
                **_at(record.at),
            }
        case SweptRecord():
            line = {"swept": record.lease, "host": record.host}
        case RemindedRecord():
            line = {"reminded": record.at}
        case InterruptedRecord():
            line = {"interrupted": record.cause, **_at(record.at)}
        case OverRecord():
            line = {"over": record.state, "at": record.at}
    return line


def _at(moment: str) -> dict[str, str]:
    return {"at": moment} if moment else {}


def read_record(line: t.Mapping[str, t.Any]) -> JournalRecord | None:
    """Read the JSON object of a line. Return None for the first line and for an unknown one.

    Raises:
        KeyError, TypeError, ValueError: no guardian wrote it.
    """
    kind = next((key for key in _READERS if key in line), None)
    return None if kind is None else _READERS[kind](line)


def _read_closed(line: t.Mapping[str, t.Any]) -> ClosedRecord:
    text = str(line["outcome"])
    outcome = next((one for one in Outcome if one.value == text), None) or UnknownOutcome(text)
    return ClosedRecord(
        str(line["settled"]),
        outcome,
        int(line["ended"]),
        int(line["survivors"]),
        str(line.get("at", "")),
    )


def _read_over(line: t.Mapping[str, t.Any]) -> OverRecord | None:
    state = line["over"]
    return OverRecord(state, str(line["at"])) if state in ("finished", "interrupted") else None


#: By the key that gives the kind of a line.
_READERS: dict[str, t.Callable[[t.Mapping[str, t.Any]], JournalRecord | None]] = {
    "hosts": lambda line: HostsRecord(tuple(map(str, line["hosts"]))),
    "opened": lambda line: OpenedRecord(
        str(line["opened"]), str(line["host"]), str(line.get("address", ""))
    ),
    "done": lambda line: DoneRecord(str(line["done"])),
    "detached": lambda line: DetachedRecord(str(line["detached"])),
    "settled": _read_closed,
    "swept": lambda line: SweptRecord(str(line["swept"]), str(line.get("host", ""))),
    "reminded": lambda line: RemindedRecord(str(line["reminded"])),
    "interrupted": lambda line: InterruptedRecord(
        str(line["interrupted"]), str(line.get("at", ""))
    ),
    "over": _read_over,
}
