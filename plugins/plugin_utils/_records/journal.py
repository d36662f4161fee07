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

import fcntl
import json
import os
import re
import stat
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import JsonObject
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_entry import (
    JournalEntry,
    apply,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_records import (
    VERSION,
    Controller,
    JournalRecord,
    RunHead,
    SweptRecord,
    line_of,
    read_record,
    text_of,
)

SUFFIX = ".jsonl"

LOCK_SUFFIX = ".lock"

_RUN = re.compile("[0-9a-f]{16}")

#: Bytes. A guardian writes no file longer than this.
_MAX_BYTES = 64 * 1024 * 1024


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
    return sorted(found, key=lambda entry: (entry.head.began, entry.run), reverse=True)


def mark_swept(directory: str, run: str, host: str, leases: t.Iterable[str]) -> None:
    """Record that nothing of these leases is alive on that host.

    Raises:
        OSError: it can't be written.
        ValueError: `run` is no run id.
    """
    append(directory, run, [SweptRecord(lease, host) for lease in leases])


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
            # A writer that is about to end may rewrite the file.
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
        entry = (
            None if head is None else JournalEntry(path, str(head["run"]), RunHead.from_line(head))
        )
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
        and here.boot == entry.head.controller.boot
        or here.host == entry.head.controller.host
        and written < _booted()
    ):
        return "dead"
    return "elsewhere"


def _booted() -> float:
    """Return when this machine was booted, in seconds since the epoch; 0 if that is not known."""
    match = re.search(r"^btime (\d+)$", text_of("/proc/stat"), re.MULTILINE)
    return float(match[1]) if match else 0.0
