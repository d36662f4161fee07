# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The journal: one file for each run of this user, which says where the run had leases open. Its reading side.

The format is documented in docs/report.md.

A file is lines of JSON, each of which adds something. The main process of the run, its forks and its guardian hold a lock on a file beside it
(flock) as long as they live: so that a run is over can be seen without believing a pid, also after a power failure. What is not a whole line
(the disk was full, the power failed) says nothing.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import re
import stat
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import JsonObject
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import Outcome
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_records import (
    VERSION,
    Closed,
    Controller,
    Detached,
    Done,
    Hosts,
    Interrupted,
    JournalRecord,
    Opened,
    Over,
    RunHead,
    Swept,
    UnknownOutcome,
    line_of,
    read_record,
    text_of,
)

SUFFIX = ".jsonl"

LOCK_SUFFIX = ".lock"

_RUN = re.compile("[0-9a-f]{16}")

#: Bytes. What is longer was not written by a guardian.
_MAX_BYTES = 64 * 1024 * 1024

#: Outcomes after which a tree may be alive: none, since no guardian was there to learn it, or no
#: report of the host.
OPEN_OUTCOMES = (None, Outcome.UNREACHABLE, Outcome.FAILED)


@dataclasses.dataclass
class JournalLease:
    """One remote command of a run that had not returned when this was written last."""

    lease: str
    host: str
    #: What became of its kill order; None: not known.
    outcome: Outcome | UnknownOutcome | None = None
    ended: int = 0
    survivors: int = 0
    #: When.
    closed: str = ""
    #: Its task has ended, and left a job that goes on. Where its run comes to its own end, the job
    #: is on its own.
    detached: bool = False
    #: Somebody has finished the job there.
    swept: bool = False

    @property
    def is_open(self) -> bool:
        """Whether something of it may be alive."""
        return not self.swept and (self.outcome in OPEN_OUTCOMES or self.survivors > 0)


@dataclasses.dataclass
class JournalEntry:
    """One run. Times are ISO 8601 in UTC, as they stand in the file."""

    path: str
    run: str
    began: str
    user: str
    controller: Controller
    #: Of the main process.
    pid: int
    program: str
    playbooks: tuple[str, ...]
    inventory: tuple[str, ...]
    #: C(running): its main process, one of its workers or its guardian lives. C(finished): it came
    #: to its own end.
    #:
    #: C(interrupted): it did not, and its guardian has done what it could. C(dead): it did not, and
    #: nobody was left to do anything. C(elsewhere): not ended as far as this says, on a machine
    #: that can't be asked from here.
    state: str = "running"
    #: The signal or event that interrupted it.
    cause: str = ""
    #: When.
    interrupted: str = ""
    ended: str = ""
    #: On which it ever had a lease.
    hosts: set[str] = dataclasses.field(default_factory=set)
    #: Those that were not given back, by id.
    leases: dict[str, JournalLease] = dataclasses.field(default_factory=dict)

    def open_hosts(self) -> dict[str, list[str]]:
        """Where trees of this run may be alive, with the ids of the leases. Nowhere while the run goes on."""
        found: dict[str, list[str]] = {}
        if self.state in ("running", "elsewhere"):
            return found
        for lease in self.leases.values():
            # Also one without an outcome in a run that came to its own end: the guardian that knew it was lost, and perhaps the kill order with it.
            if lease.is_open and not (
                self.state == "finished" and lease.detached and lease.outcome is None
            ):
                found.setdefault(lease.host, []).append(lease.lease)
        return found


def entries(directory: str) -> list[JournalEntry]:
    """All runs that the journal knows, the latest first. A directory that is not there knows none.

    Raises:
        OSError: it can't be read.
    """
    try:
        names = [name for name in os.listdir(directory) if name.endswith(SUFFIX)]
    except FileNotFoundError:
        return []
    found = [
        entry
        for entry in (read(os.path.join(directory, name)) for name in names)
        if entry is not None
    ]
    return sorted(found, key=lambda entry: (entry.began, entry.run), reverse=True)


def open_hosts(directory: str, run: str | None = None) -> dict[str, dict[str, list[str]]]:
    """Where trees may be alive of runs that are over: run id, host, ids of the leases. The latest run comes first.

    Args:
        directory: of the journal.
        run: this run alone.

    Raises:
        OSError: the journal can't be read.
    """
    found = {
        entry.run: entry.open_hosts() for entry in entries(directory) if run in (None, entry.run)
    }
    return {name: hosts for name, hosts in found.items() if hosts}


def concerns(
    entry: JournalEntry, runs: t.Collection[str] | None, host: str | None, only_open: bool
) -> bool:
    """Whether the entry is one of these runs (any, if none are named), had a lease on that host, and may have something alive there."""
    if runs and entry.run not in runs or host is not None and host not in entry.hosts:
        return False
    return not only_open or bool(_open_on(entry, host))


def as_result(entry: JournalEntry, host: str | None) -> JsonObject:
    """Return the entry as the module run_journal returns it; of one host alone, if it is named."""
    return {
        "run": entry.run,
        "began": entry.began,
        "ended": entry.ended,
        "user": entry.user,
        "program": entry.program,
        "state": entry.state,
        "cause": entry.cause,
        "playbooks": list(entry.playbooks),
        "inventory": list(entry.inventory),
        "controller": entry.controller.host,
        "open": _open_on(entry, host),
    }


def _open_on(entry: JournalEntry, host: str | None) -> dict[str, list[str]]:
    return {name: leases for name, leases in entry.open_hosts().items() if host in (None, name)}


def mark_swept(directory: str, run: str, host: str, leases: t.Iterable[str]) -> None:
    """Note that nothing of these leases is alive on that host any more.

    Raises:
        OSError: it can't be written.
        ValueError: not a run id.
    """
    append(directory, run, [Swept(lease, host) for lease in leases])


def append(directory: str, run: str, records: t.Iterable[JournalRecord]) -> None:
    """Add lines to the file of a run that no guardian writes any more.

    Raises:
        OSError: it can't be written; that there is no such file, among others.
        ValueError: not a run id.
    """
    path = path_of(directory, run)
    # Before them a line end: the last guardian may have been killed while it wrote.
    content = b"\n" + b"".join(map(line, records))
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            # A writer that is about to end may write the file anew.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
                os.write(descriptor, content)
                return
        finally:
            os.close(descriptor)


def path_of(directory: str, run: str) -> str:
    """The file of a run. Raises ValueError for what is no run id."""
    if not _RUN.fullmatch(run):
        raise ValueError(f"not a run id: {run!r}")
    return os.path.join(directory, run + SUFFIX)


def first_line(run: str, head: RunHead) -> bytes:
    """Return the first line of a file."""
    return _line(head.to_line(run))


def line(record: JournalRecord) -> bytes:
    """Return another line of a file."""
    return _line(line_of(record))


def _line(content: JsonObject) -> bytes:
    # ASCII, whatever a host is called.
    return json.dumps(content, separators=(",", ":")).encode("ascii") + b"\n"


def read(path: str) -> JournalEntry | None:
    """The run that a file tells of; None for a file that tells of none, has vanished, or could have been written by somebody else."""
    found = recorded(path)
    if found is None:
        return None
    entry, written = found
    entry.state = _state(entry, is_locked(path), written)
    return entry


def recorded(path: str) -> tuple[JournalEntry, float] | None:
    """As `read`, with the state that the file itself tells; and when it was written, in seconds since the epoch."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if (
            not stat.S_ISREG(status.st_mode)
            or status.st_uid != os.geteuid()
            or status.st_mode & 0o022
            or status.st_size > _MAX_BYTES
        ):
            return None
        records = list(_records(file.read(_MAX_BYTES)))
    entry = _entry(path, records)
    return None if entry is None else (entry, status.st_mtime)


def lock_path_of(path: str) -> str:
    """The file beside a run's, on which its processes hold a lock."""
    return path.removesuffix(SUFFIX) + LOCK_SUFFIX


def is_locked(path: str) -> bool:
    """Whether a process of the run lives. A lock that can't be looked at is taken for one that is held."""
    try:
        descriptor = os.open(
            lock_path_of(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        )
    except FileNotFoundError:
        return False  # taken away at the end of the run
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _records(content: bytes) -> t.Iterator[JsonObject]:
    for text in content.splitlines():
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            continue  # half a line
        if isinstance(record, dict):
            yield record


def _entry(path: str, records: t.Sequence[JsonObject]) -> JournalEntry | None:
    """Return the run that these lines tell of; None where they do not tell which it was."""
    head = next((record for record in records if record.get("version") == VERSION), None)
    try:
        entry = None if head is None else new_entry(path, str(head["run"]), RunHead.from_line(head))
    except (KeyError, TypeError, ValueError):
        return None
    if entry is None or os.path.basename(path) != entry.run + SUFFIX:
        return None
    for content in records:
        try:
            record = read_record(content)
            if record is not None:
                apply(entry, record)
        except (KeyError, TypeError, ValueError):
            continue  # of a later version, which says more than this one knows
    return entry


def new_entry(path: str, run: str, head: RunHead) -> JournalEntry:
    """Return the entry of a run before its first lease."""
    return JournalEntry(
        path,
        run,
        head.began,
        head.user,
        head.controller,
        head.pid,
        head.program,
        head.playbooks,
        head.inventory,
    )


def records_of(entry: JournalEntry) -> t.Iterator[JournalRecord]:
    """Yield the lines after the first that make this entry, and no others."""
    yield Hosts(tuple(sorted(entry.hosts)))
    if entry.cause:
        yield Interrupted(entry.cause, entry.interrupted)
    for lease in entry.leases.values():
        yield Opened(lease.lease, lease.host)
        if lease.detached:
            yield Detached(lease.lease)
        if lease.outcome is not None:
            yield Closed(lease.lease, lease.outcome, lease.ended, lease.survivors, lease.closed)
        if lease.swept:
            yield Swept(lease.lease, lease.host)
    if entry.ended:
        yield Over(entry.state, entry.ended)


def apply(entry: JournalEntry, record: JournalRecord) -> None:
    """Add to an entry what one line says. Raises KeyError where the entry does not know the lease."""
    match record:
        case Hosts():
            entry.hosts.update(record.hosts)
        case Opened():
            entry.hosts.add(record.host)
            entry.leases[record.lease] = JournalLease(record.lease, record.host)
        case Done():
            entry.leases.pop(record.lease, None)
        case Detached():
            entry.leases[record.lease].detached = True
        case Closed():
            lease = entry.leases[record.lease]
            lease.outcome, lease.ended, lease.survivors, lease.closed = (
                record.outcome,
                record.ended,
                record.survivors,
                record.at,
            )
        case Swept():
            entry.leases[record.lease].swept = True
        case Interrupted():
            entry.cause, entry.interrupted = record.cause, record.at
        case Over():
            entry.state, entry.ended = record.state, record.at


def _state(entry: JournalEntry, locked: bool, written: float) -> str:
    if locked:
        return "running"
    if entry.state in ("finished", "interrupted"):
        return entry.state
    here = Controller.here()
    # Of one boot there is one kernel, and with it one set of locks. A boot before this one is known by its time: machines may share home and name.
    if (
        here.boot
        and here.boot == entry.controller.boot
        or here.host == entry.controller.host
        and written < _booted()
    ):
        return "dead"
    return "elsewhere"


def _booted() -> float:
    """When this machine was booted, in seconds since the epoch; 0 where that is not known."""
    match = re.search(r"^btime (\d+)$", text_of("/proc/stat"), re.MULTILINE)
    return float(match[1]) if match else 0.0
