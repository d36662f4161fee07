# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The journal, as the guardian of a run writes it, and the limits that keep it small.

A line costs some 20 microseconds: it goes to the kernel, and no process waits for the disk. So it
outlives every process of the run at once. A power failure may lose some of the last seconds.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import errno
import fcntl
import os
import time
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._records import (
    journal,
    journal_entry,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records.atomic_file import replace
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_records import (
    DoneRecord,
    HostsRecord,
    JournalRecord,
    OpenedRecord,
    RunHead,
)

#: Bytes that a file may have before it is rewritten without the leases that were given back. Then
#: it may grow by as many again.
_GROWTH_BYTES = 256 * 1024

#: Bytes that the smallest file occupies on a disk.
_BLOCK_BYTES = 4096

_DAY_SECONDS = 86400.0


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Limits for old runs in the journal."""

    days: float
    #: Bytes of all files together.
    size: int


class JournalWriter:
    """Writer of the file of one run.

    If a method raises OSError, the next one also writes what was missed, if there is room by then.

    A run has two guardians if the socket of the first one was removed. Both write, and each may
    rewrite the file. So a writer holds the lock of the file that is at the path at that moment, and
    rewrites it from its own content.
    """

    def __init__(self, directory: str, run: str, head: RunHead) -> None:
        self.directory = directory
        self._path = journal.path_of(directory, run)
        self._head = journal.first_line(run, head)
        #: The run as this writer knows it, because the file may be lost.
        self._entry = journal_entry.JournalEntry(self._path, run, head)
        #: Records that are not in the file yet, in their order. A lease that was given back
        #: meanwhile leaves only the name of its host.
        self._missed: dict[str, JournalRecord] = {}
        self._number = 0
        self._descriptor: int | None = None
        self._lock: int | None = None
        self._limit = _GROWTH_BYTES
        #: Whether the file may end with an incomplete line.
        self._torn = False
        self._made = False

    @property
    def lock(self) -> int | None:
        """The descriptor that holds the lock.

        A copy of it in another process holds the lock too.
        """
        return self._lock

    def make_file(self) -> None:
        """Hold the lock, and make the file unless an earlier guardian of the run has made it."""
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        self._hold()
        if journal.read(self._path) is None:
            replace(self._path, self._head, wait_for_disk=False)
            self._made = True

    def abandon(self) -> None:
        """Remove what `make_file` has made, and write nothing: no other process holds the lock."""
        if self._made:
            for path in (self._path, journal.lock_path_of(self._path)):
                os.unlink(path)

    def continue_file(self) -> None:
        """Continue the file of an earlier guardian of the run."""
        found = journal.recorded(self._path)
        if found is not None:
            self._entry = found[0]
        # That guardian may have been killed while it wrote.
        self._torn = True

    def _hold(self) -> None:
        if self._lock is None:
            self._lock = os.open(
                journal.lock_path_of(self._path),
                os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC,
                0o600,
            )
            # The lock is shared, because the main process, its forks and its guardian hold it
            # together. A reader tries for an exclusive one, for a moment.
            fcntl.flock(self._lock, fcntl.LOCK_SH)

    def write_line(self, record: JournalRecord) -> None:
        """Append a line."""
        self._note(record)
        with self._file() as descriptor:
            if descriptor is None:
                self._replace_file(self._entry)
            elif self._append(descriptor) > self._limit:
                self._compact()

    def _note(self, record: JournalRecord) -> None:
        with contextlib.suppress(
            KeyError
        ):  # An earlier guardian granted the lease, and could not record it.
            journal_entry.apply(self._entry, record)
        self._number += 1
        opened = (
            self._missed.pop(f"opened/{record.lease}", None)
            if isinstance(record, DoneRecord)
            else None
        )
        if isinstance(opened, OpenedRecord):
            self._missed[f"host/{opened.host}"] = HostsRecord((opened.host,))
        else:
            self._missed[
                f"opened/{record.lease}" if isinstance(record, OpenedRecord) else f"{self._number}"
            ] = record

    @contextlib.contextmanager
    def _file(self) -> t.Iterator[int | None]:
        """Lock the file at the path for the block, and yield its descriptor, if it exists."""
        try:
            descriptor = self._locked()
        except FileNotFoundError:
            self._close()
            yield None
            return
        try:
            yield descriptor
        finally:
            if self._descriptor is not None:
                fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _locked(self) -> int:
        while True:
            if self._descriptor is None:
                self._descriptor = os.open(
                    self._path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
                )
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(self._descriptor), os.lstat(self._path)):
                return self._descriptor
            # Another guardian of this run has rewritten it.
            self._close()

    def _append(self, descriptor: int) -> int:
        """Append what is missing, and return the size of the file."""
        before = os.lseek(descriptor, 0, os.SEEK_END)
        content = b"\n" * self._torn + b"".join(map(journal.line, self._missed.values()))
        self._torn = True
        if os.write(descriptor, content) < len(content):
            # All of it counts as missing, so nothing of it may stay in the file. A lease that the
            # file has as open can't be given back by leaving it out.
            os.ftruncate(descriptor, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._path)
        self._torn = False
        self._missed.clear()
        return before + len(content)

    def _rewrite(self) -> None:
        with self._file() as descriptor:
            if descriptor is None:
                self._replace_file(self._entry)
            else:
                self._compact()

    def _compact(self) -> None:
        """Rewrite the file, without the leases that were given back.

        It keeps what another guardian has written.
        """
        found = journal.recorded(self._path)
        entry = self._entry if found is None else found[0]
        for record in self._missed.values():
            with contextlib.suppress(KeyError):
                journal_entry.apply(entry, record)
        self._replace_file(entry)

    def _replace_file(self, entry: journal_entry.JournalEntry) -> None:
        content = self._head + b"".join(map(journal.line, journal_entry.records_of(entry)))
        replace(self._path, content, wait_for_disk=False)
        # This releases the lock, for which other processes may wait.
        self._close()
        self._limit = len(content) + _GROWTH_BYTES
        self._torn = False
        self._missed.clear()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def write_last_line(self, record: JournalRecord) -> None:
        """Write the last line, and remove the lock unless another guardian of the run holds it."""
        self._note(record)
        self._rewrite()
        if self._lock is None:
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(journal.lock_path_of(self._path))


def prune(directory: str, bounds: Bounds, now: float | None = None) -> None:
    """Remove runs that are too old, and then the oldest ones while the journal is too large.

    Runs that may need a sweep are removed last, and running ones never.

    Raises:
        OSError: the journal can't be read, or a file can't be removed.
    """
    guard = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # Another run is pruning.
    else:
        _prune(directory, bounds, time.time() if now is None else now)
    finally:
        os.close(guard)


def _prune(directory: str, bounds: Bounds, now: float) -> None:
    files = sorted(_files(directory), key=lambda file: file.written)
    left: collections.deque[_File] = collections.deque()
    for file in files:
        if now - file.written > bounds.days * _DAY_SECONDS:
            file.remove()
        else:
            left.append(file)
    too_much = sum(file.size for file in left) - bounds.size
    if too_much <= 0:
        return
    for wanted in (False, True):
        for file in list(left):
            if too_much <= 0:
                return
            entry = journal.read(file.path)
            if bool(entry and entry.open_hosts()) is wanted and file.remove():
                left.remove(file)
                too_much -= file.size


@dataclasses.dataclass(frozen=True)
class _File:
    path: str
    written: float
    size: int

    def remove(self) -> bool:
        """Remove the file unless a process of its run lives. Return whether it is removed."""
        if journal.is_locked(self.path):
            return False
        for path in (self.path, journal.lock_path_of(self.path)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        return True


def _files(directory: str) -> t.Iterator[_File]:
    with os.scandir(directory) as found:
        for one in found:
            if one.name.endswith(journal.SUFFIX):
                with contextlib.suppress(FileNotFoundError):
                    status = one.stat(follow_symlinks=False)
                    yield _File(one.path, status.st_mtime, max(status.st_size, _BLOCK_BYTES))
