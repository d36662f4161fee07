# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run in the journal, made from its lines."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import JsonObject
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import Outcome
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_records import (
    ClosedRecord,
    DetachedRecord,
    DoneRecord,
    HostsRecord,
    InterruptedRecord,
    JournalRecord,
    OpenedRecord,
    OverRecord,
    RemindedRecord,
    RunHead,
    SweptRecord,
    UnknownOutcome,
)

#: Outcomes after which a tree may be alive: no outcome, because there was no guardian to learn it,
#: or no report of the host.
OPEN_OUTCOMES = (None, Outcome.UNREACHABLE, Outcome.FAILED)


@dataclasses.dataclass
class JournalLease:
    """One remote command that had not returned when this was last written."""

    lease: str
    host: str
    #: The result of its kill order; None if that is not known.
    outcome: Outcome | UnknownOutcome | None = None
    ended: int = 0
    survivors: int = 0
    #: The time at which it was closed.
    closed: str = ""
    #: Whether its task has ended and has left a job. If the run ends by itself, the job no
    #: longer belongs to it.
    detached: bool = False
    #: Whether a sweep has found nothing of it alive, or has ended it.
    swept: bool = False
    #: What its connection connected to. Empty: an earlier version of the collection wrote it.
    address: str = ""

    @property
    def is_open(self) -> bool:
        """Whether some process of it may be alive."""
        return not self.swept and (self.outcome in OPEN_OUTCOMES or self.survivors > 0)


@dataclasses.dataclass
class JournalEntry:
    """One run. Times are ISO 8601 in UTC, as in the file."""

    path: str
    run: str
    head: RunHead
    #: C(running): its main process, one of its workers or its guardian lives. C(finished): the run
    #: ended by itself. C(interrupted): it did not, and its guardian has done what it could.
    #: C(dead): it did not, and there was no guardian left to do anything. C(elsewhere): according
    #: to the file it has not ended, and it ran on a machine that can't be asked from here.
    state: str = "running"
    #: The signal or event that interrupted it.
    cause: str = ""
    #: The time of the interruption.
    interrupted: str = ""
    ended: str = ""
    #: The time at which a later run has told the user that a sweep is due.
    reminded: str = ""
    #: All hosts on which it ever had a lease.
    hosts: set[str] = dataclasses.field(default_factory=set)
    #: The leases that were not given back, by id.
    leases: dict[str, JournalLease] = dataclasses.field(default_factory=dict)

    def addresses(self, host: str) -> set[str]:
        """Return the addresses that the open leases of a host have in the journal."""
        opened = self.open_hosts().get(host, ())
        return {self.leases[lease].address for lease in opened} - {""}

    def open_hosts(self) -> dict[str, list[str]]:
        """Return the hosts where trees of this run may be alive, with the ids of the leases.

        It returns none while the run is running.
        """
        found: dict[str, list[str]] = {}
        if self.state in ("running", "elsewhere"):
            return found
        for lease in self.leases.values():
            # This includes a lease without an outcome in a run that ended by itself. The
            # guardian that knew it was lost, and perhaps the kill order with it.
            if lease.is_open and not (
                self.state == "finished" and lease.detached and lease.outcome is None
            ):
                found.setdefault(lease.host, []).append(lease.lease)
        return found


def records_of(entry: JournalEntry) -> t.Iterator[JournalRecord]:
    """Yield the lines that make this entry, without the first one."""
    yield HostsRecord(tuple(sorted(entry.hosts)))
    if entry.cause:
        yield InterruptedRecord(entry.cause, entry.interrupted)
    for lease in entry.leases.values():
        yield OpenedRecord(lease.lease, lease.host, lease.address)
        if lease.detached:
            yield DetachedRecord(lease.lease)
        if lease.outcome is not None:
            yield ClosedRecord(
                lease.lease, lease.outcome, lease.ended, lease.survivors, lease.closed
            )
        if lease.swept:
            yield SweptRecord(lease.lease, lease.host)
    if entry.reminded:
        yield RemindedRecord(entry.reminded)
    if entry.ended:
        yield OverRecord(entry.state, entry.ended)


def apply(entry: JournalEntry, record: JournalRecord) -> None:
    """Add the content of one line to an entry.

    Raises KeyError if the entry does not know the lease.
    """
    match record:
        case HostsRecord():
            entry.hosts.update(record.hosts)
        case OpenedRecord():
            entry.hosts.add(record.host)
            entry.leases[record.lease] = JournalLease(
                record.lease, record.host, address=record.address
            )
        case DoneRecord():
            entry.leases.pop(record.lease, None)
        case DetachedRecord():
            entry.leases[record.lease].detached = True
        case ClosedRecord():
            lease = entry.leases[record.lease]
            lease.outcome, lease.ended, lease.survivors, lease.closed = (
                record.outcome,
                record.ended,
                record.survivors,
                record.at,
            )
        case SweptRecord():
            entry.leases[record.lease].swept = True
        case RemindedRecord():
            entry.reminded = record.at
        case InterruptedRecord():
            entry.cause, entry.interrupted = record.cause, record.at
        case OverRecord():
            entry.state, entry.ended = record.state, record.at


def concerns(
    entry: JournalEntry, runs: t.Collection[str] | None, host: str | None, only_open: bool
) -> bool:
    """Whether the entry matches the filters.

    It must be one of these runs (any, if there are none), and have had a lease on that host. With
    `only_open`, something of it may be alive there.
    """
    if runs and entry.run not in runs or host is not None and host not in entry.hosts:
        return False
    return not only_open or bool(_open_on(entry, host))


def as_result(entry: JournalEntry, host: str | None) -> JsonObject:
    """Return the entry as the module run_journal returns it, limited to `host` if it is given."""
    return {
        "run": entry.run,
        "began": entry.head.began,
        "ended": entry.ended,
        "user": entry.head.user,
        "program": entry.head.program,
        "state": entry.state,
        "cause": entry.cause,
        "playbooks": list(entry.head.playbooks),
        "inventory": list(entry.head.inventory),
        "controller": entry.head.controller.host,
        "open": _open_on(entry, host),
    }


def _open_on(entry: JournalEntry, host: str | None) -> dict[str, list[str]]:
    return {name: leases for name, leases in entry.open_hosts().items() if host in (None, name)}
