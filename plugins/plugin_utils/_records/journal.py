# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The journal, as it is read: one file for each run of this user, with its open leases.

docs/report.md documents the format.

A file is lines of JSON, and each line adds something. The main process of the run, its forks and
its guardian hold a lock (flock) on a file beside it as long as they live. So a reader can see that
a run is over without trust in a pid, even after a power failure. An incomplete line (the disk was
full, the power failed) is ignored.
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

#: Bytes. A guardian writes no file longer than this.
_MAX_BYTES = 64 * 1024 * 1024

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
    #: Whether its task has ended and has left a job. If the run comes to its own end, the job no
    #: longer belongs to it.
    detached: bool = False
    #: Whether a sweep has found nothing of it alive, or has ended it.
    swept: bool = False

    @property
    def is_open(self) -> bool:
        """Whether some process of it may be alive."""
        return not self.swept and (self.outcome in OPEN_OUTCOMES or self.survivors > 0)


@dataclasses.dataclass
class JournalEntry:
    """One run. Times are ISO 8601 in UTC, as in the file."""

    path: str
    run: str
    began: str
    user: str
    controller: Controller
    #: The pid of the main process.
    pid: int
    program: str
    playbooks: tuple[str, ...]
    inventory: tuple[str, ...]
    #: C(running): its main process, one of its workers or its guardian lives. C(finished): the run
    #: came to its own end. C(interrupted): it did not, and its guardian has done what it could.
    #: C(dead): it did not, and there was no guardian left to do anything. C(elsewhere): according
    #: to the file it has not ended, and it ran on a machine that can't be asked from here.
    state: str = "running"
    #: The signal or event that interrupted it.
    cause: str = ""
    #: The time of the interruption.
    interrupted: str = ""
    ended: str = ""
    #: All hosts on which it ever had a lease.
    hosts: set[str] = dataclasses.field(default_factory=set)
    #: The leases that were not given back, by id.
    leases: dict[str, JournalLease] = dataclasses.field(default_factory=dict)

    def open_hosts(self) -> dict[str, list[str]]:
        """Return the hosts where trees of this run may be alive, with the ids of the leases.

        It returns none while the run is running.
        """
        found: dict[str, list[str]] = {}
        if self.state in ("running", "elsewhere"):
            return found
        for lease in self.leases.values():
            # This includes a lease without an outcome in a run that came to its own end. The
            # guardian that knew it was lost, and perhaps the kill order with it.
            if lease.is_open and not (
                self.state == "finished" and lease.detached and lease.outcome is None
            ):
                found.setdefault(lease.host, []).append(lease.lease)
        return found


def entries(directory: str) -> list[JournalEntry]:
    """Return all runs in the journal, the latest first. A missing directory has none.

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
    """Return where trees of runs that are over may be alive: run id, host, ids of the leases.

    The latest run comes first.

    Args:
        directory: of the journal.
        run: only this run.

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
    """Record that nothing of these leases is alive on that host.

    Raises:
        OSError: it can't be written.
        ValueError: `run` is no run id.
    """
    append(directory, run, [Swept(lease, host) for lease in leases])


def append(directory: str, run: str, records: t.Iterable[JournalRecord]) -> None:
    """Add lines to the file of a run whose guardian is gone.

    Raises:
        OSError: it can't be written, for example because there is no such file.
        ValueError: `run` is no run id.
    """
    path = path_of(directory, run)
    # They begin with a line end: the last guardian may have been killed while it wrote.
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
    """Return the path of the file of a run. Raises ValueError if `run` is no run id."""
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
    # ASCII, because a host may have any name.
    return json.dumps(content, separators=(",", ":")).encode("ascii") + b"\n"


def read(path: str) -> JournalEntry | None:
    """Return the run in a file.

    It is None if the file holds none, has vanished, or could have been written by another user.
    """
    found = recorded(path)
    if found is None:
        return None
    entry, written = found
    entry.state = _state(entry, is_locked(path), written)
    return entry


def recorded(path: str) -> tuple[JournalEntry, float] | None:
    """Return the run in a file with the state that the file has, and when it was written.

    The time is in seconds since the epoch.
    """
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
    """Return the path of the file on which the processes of a run hold a lock."""
    return path.removesuffix(SUFFIX) + LOCK_SUFFIX


def is_locked(path: str) -> bool:
    """Whether a process of the run lives. A lock that can't be read counts as held."""
    try:
        descriptor = os.open(
            lock_path_of(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        )
    except FileNotFoundError:
        return False  # It was removed at the end of the run.
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
            continue  # The line is incomplete.
        if isinstance(record, dict):
            yield record


def _entry(path: str, records: t.Sequence[JsonObject]) -> JournalEntry | None:
    """Return the run in these lines; None if they do not name it."""
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
            continue  # A later version wrote it, with a content that this version does not know.
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
    """Yield the lines that make this entry, without the first one."""
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
    """Add the content of one line to an entry.

    Raises KeyError if the entry does not know the lease.
    """
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
    # One boot has one kernel, and so one set of locks. A run of an earlier boot is recognised by
    # its time, because machines may share home and name.
    if (
        here.boot
        and here.boot == entry.controller.boot
        or here.host == entry.controller.host
        and written < _booted()
    ):
        return "dead"
    return "elsewhere"


def _booted() -> float:
    """Return when this machine was booted, in seconds since the epoch; 0 if that is not known."""
    match = re.search(r"^btime (\d+)$", text_of("/proc/stat"), re.MULTILINE)
    return float(match[1]) if match else 0.0
