# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The writing side of the journal: what the guardian of a run appends to its file, and how the journal is kept small.

A line costs some 20 microseconds: it goes to the kernel, and nobody waits for the disk. So it outlives every process of the run at once; of what was
written in the last seconds before a power failure, some may be lost.
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

from ansible_collections.treekill.remote.plugins.plugin_utils._records import journal
from ansible_collections.treekill.remote.plugins.plugin_utils._records.atomic_file import replace
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_records import (
    Done,
    Hosts,
    JournalRecord,
    Opened,
    RunHead,
)

#: Bytes that a file may have before it is written anew without what is over; then as many more
#: again.
_GROWTH_BYTES = 256 * 1024

#: Bytes that the smallest file takes on a disk.
_BLOCK_BYTES = 4096

_DAY_SECONDS = 86400.0


@dataclasses.dataclass(frozen=True)
class Bounds:
    """How much of the past is kept."""

    days: float
    #: Bytes, of all files.
    size: int


class JournalWriter:
    """Writes the file of one run. Whatever method raises OSError, the next one writes what was missed as well, if there is room by then.

    A run has two guardians where the socket of the first one was removed: both write, and either may write the file anew. So nobody writes but with
    the lock of the file that is at its path at that moment, and whoever writes it anew begins with what it says.
    """

    def __init__(self, directory: str, run: str, head: RunHead) -> None:
        self.directory = directory
        self._path = journal.path_of(directory, run)
        self._head = journal.first_line(run, head)
        self._entry = journal.new_entry(self._path, run, head)
        """What this writer knows: the file may be lost."""
        self._missed: dict[str, JournalRecord] = {}
        """Records that are not in the file yet, in their order. A lease that was given back meanwhile leaves only the name of its host."""
        self._number = 0
        self._descriptor: int | None = None
        self._lock: int | None = None
        self._limit = _GROWTH_BYTES
        self._torn = False
        """Whether the file may end with half a line."""
        self._made = False

    @property
    def lock(self) -> int | None:
        """The descriptor that holds the lock; a copy of it, in another process, holds the lock as well."""
        return self._lock

    def make_file(self) -> None:
        """Make the file, unless an earlier guardian of the run has made it, and hold its lock."""
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        self._hold()
        if journal.read(self._path) is None:
            replace(self._path, self._head, wait_for_disk=False)
            self._made = True

    def abandon(self) -> None:
        """Nobody else holds the lock: what `make_file` has made is taken away again, and nothing is written."""
        if self._made:
            for path in (self._path, journal.lock_path_of(self._path)):
                os.unlink(path)

    def continue_file(self) -> None:
        """Go on where the last guardian of the run was."""
        found = journal.recorded(self._path)
        if found is not None:
            self._entry = found[0]
        # That one may have been killed while it wrote.
        self._torn = True

    def _hold(self) -> None:
        if self._lock is None:
            self._lock = os.open(
                journal.lock_path_of(self._path),
                os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC,
                0o600,
            )
            # Shared: the main process, its forks and its guardian hold it beside each other. A reader tries for it alone, for a moment.
            fcntl.flock(self._lock, fcntl.LOCK_SH)

    def write_line(self, record: JournalRecord) -> None:
        """Append a line."""
        self._note(record)
        with self._file() as descriptor:
            if descriptor is None:
                self._write_anew(self._entry)
            elif self._append(descriptor) > self._limit:
                self._compact()

    def _note(self, record: JournalRecord) -> None:
        with contextlib.suppress(
            KeyError
        ):  # of a lease that an earlier guardian has granted, and could not write down
            journal.apply(self._entry, record)
        self._number += 1
        opened = (
            self._missed.pop(f"opened/{record.lease}", None) if isinstance(record, Done) else None
        )
        if isinstance(opened, Opened):
            self._missed[f"host/{opened.host}"] = Hosts((opened.host,))
        else:
            self._missed[
                f"opened/{record.lease}" if isinstance(record, Opened) else f"{self._number}"
            ] = record

    @contextlib.contextmanager
    def _file(self) -> t.Iterator[int | None]:
        """The file that is at the path, with nobody else at it while the block runs; None where there is none."""
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
            # Another guardian of this run has written it anew.
            self._close()

    def _append(self, descriptor: int) -> int:
        """Append what is missing; the size of the file."""
        before = os.lseek(descriptor, 0, os.SEEK_END)
        content = b"\n" * self._torn + b"".join(map(journal.line, self._missed.values()))
        self._torn = True
        if os.write(descriptor, content) < len(content):
            # All of it is missing then. What is here can't be taken for given back while it stands there.
            os.ftruncate(descriptor, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._path)
        self._torn = False
        self._missed.clear()
        return before + len(content)

    def _rewrite(self) -> None:
        with self._file() as descriptor:
            if descriptor is None:
                self._write_anew(self._entry)
            else:
                self._compact()

    def _compact(self) -> None:
        """Write the file anew, without the leases that were given back. What another guardian has written stays."""
        found = journal.recorded(self._path)
        entry = self._entry if found is None else found[0]
        for record in self._missed.values():
            with contextlib.suppress(KeyError):
                journal.apply(entry, record)
        self._write_anew(entry)

    def _write_anew(self, entry: journal.JournalEntry) -> None:
        content = self._head + b"".join(map(journal.line, journal.records_of(entry)))
        replace(self._path, content, wait_for_disk=False)
        # With this goes the lock, for which others may wait.
        self._close()
        self._limit = len(content) + _GROWTH_BYTES
        self._torn = False
        self._missed.clear()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def write_last_line(self, record: JournalRecord) -> None:
        """The last line, and the lock taken away, unless another guardian of the run holds it."""
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
    """Remove what is too old, and of the rest the oldest until the others are small enough; what may need a sweep goes last, runs that go on never.

    Raises:
        OSError: the journal can't be read, or a file not be removed.
    """
    guard = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # another run is at it
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
        """Whether it is removed: not while a process of its run lives."""
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
