# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The process that a pid file names, if the file can be believed.

A pid file holds a number that was written once. A user who can write or replace the file chooses
which process gets killed. When the process has ended, its number belongs to another process sooner
or later.
"""

import errno
import os
import stat
import time

from ansible_collections.treekill.remote.plugins.module_utils._process.proc import CLOCK_BOOTTIME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
        Process,
        ProcessTable,
    )

#: A pid file holds a number, and perhaps spaces. A longer file holds more than that.
LONGEST_FILE_BYTES = 32
#: Symbolic links that the kernel follows in one path: see path_resolution(7).
MOST_LINKS = 40
#: Seconds by which a file may seem older than the process that wrote it, or seem to be from the
#: future. The times are multiples of the kernel's tick, which is 10 ms at most.
TICK_SECONDS = 0.02


class NotBelieved(ValueError):
    """The file can't be believed. The text of the error gives the reason."""


def process_of(path: str, table: "ProcessTable") -> "Optional[Process]":
    """Return the process that the file names; None if no process has that pid.

    Raises NotBelieved, and FileNotFoundError if there is no such file.
    """
    if table.method != "proc":
        raise NotBelieved(
            "pid file %s: without /proc there is no telling whether it is stale" % path
        )
    if not os.path.isabs(path):
        raise NotBelieved("pid file %s: the path has to be absolute" % path)
    descriptor, directory, links = _open(path)
    try:
        found = os.fstat(descriptor)
        check_file(path, found)
        check_links(path, links, found.st_uid)
        if found.st_uid == 0:
            check_directories(directory)
        pid = number_in(path, os.read(descriptor, LONGEST_FILE_BYTES + 1))
    finally:
        os.close(descriptor)
    process = table.process(pid)
    if process is None or not process.alive:
        return None
    if not process.id.start:
        raise NotBelieved(
            "pid file %s names pid %d, which /proc hides from this user" % (path, pid)
        )
    check_match(path, found, process, started(process), table.effective_uid(pid))
    return process


def _open(path: str) -> "Tuple[int, str, List[Tuple[str, int]]]":
    """Open the file. Return (descriptor, directory, links).

    directory: its path, without symbolic links.
    links: (path, owner) of each symbolic link on the way to it.
    """
    try:
        here, directory, name, links = _go_through(path)
        try:
            return (
                os.open(
                    name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here
                ),
                directory,
                links,
            )
        finally:
            os.close(here)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise
        if error.errno == errno.ELOOP:
            raise NotBelieved("pid file %s is a symbolic link" % path) from None
        raise NotBelieved("pid file %s can't be read: %s" % (path, error.strerror)) from None


def _go_through(path: str) -> "Tuple[int, str, str, List[Tuple[str, int]]]":
    """Follow the path to its last component. Return (descriptor, directory, name, links).

    descriptor, directory: of the last directory, and its path without links.
    name: of the last component within it, which is not followed.
    links: the symbolic links of the path.

    Each component is opened within the directory that was opened before. So the checks apply to the
    directories that were really passed.
    """
    waiting = [part for part in path.split("/") if part not in ("", ".")] or ["."]
    links: List[Tuple[str, int]] = []
    directory, here = "/", os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        while len(waiting) > 1 and len(links) <= MOST_LINKS:
            name = waiting.pop(0)
            there = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            found = os.fstat(there)
            target = os.readlink("", dir_fd=there) if stat.S_ISLNK(found.st_mode) else name
            if target is not name:
                links.append((os.path.join(directory, name), found.st_uid))
                os.close(there)
                waiting[:0] = [part for part in target.split("/") if part not in ("", ".")]
                name = "/" if target.startswith("/") else "."
                there = os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here, directory = there, os.path.normpath(os.path.join(directory, name))
    except BaseException:
        os.close(here)
        raise
    if len(links) > MOST_LINKS:
        os.close(here)
        raise NotBelieved("pid file %s is behind more than %d symbolic links" % (path, MOST_LINKS))
    return here, directory, waiting[0], links


def check_file(path: str, found: "os.stat_result") -> None:
    """Check that the file is a regular one with one name, which only its owner can write."""
    if not stat.S_ISREG(found.st_mode):
        raise NotBelieved("pid file %s is not a regular file" % path)
    if found.st_nlink != 1:
        raise NotBelieved("pid file %s has %d hard links" % (path, found.st_nlink))
    if found.st_mode & 0o022:
        raise NotBelieved(
            "pid file %s is writable by users other than its owner (mode %04o)"
            % (path, stat.S_IMODE(found.st_mode))
        )


def check_links(path: str, links: "List[Tuple[str, int]]", owner: int) -> None:
    """Check that each link in the path belongs to root, the file's owner or the user who asks.

    A link decides which file the path leads to.
    """
    for link, user in links:
        if user not in (0, owner, os.geteuid()):
            raise NotBelieved(
                "pid file %s: %s is a symbolic link of uid %d, who could have it lead to any file"
                % (path, link, user)
            )


def check_directories(directory: str) -> None:
    """Check that only root may replace this file, which belongs to root.

    directory: without symbolic links in it.
    """
    while True:
        found = os.stat(directory)
        if found.st_uid != 0 or (found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX):
            raise NotBelieved(
                "the pid file is root's, but others can replace files in %s" % directory
            )
        if directory == "/":
            return
        directory = os.path.dirname(directory)


def number_in(path: str, content: bytes) -> int:
    """Return the pid that the file holds."""
    text = content.strip(b" \t\n")
    if len(content) > LONGEST_FILE_BYTES or not text.isdigit() or text.startswith(b"0"):
        raise NotBelieved("pid file %s does not hold one number, a pid" % path)
    return int(text)


def check_match(
    path: str, found: "os.stat_result", process: "Process", start: float, user: "Optional[int]"
) -> None:
    """Check that the process, or root, wrote the file while the process was running.

    The file must have been written between the start of the process and now. Its owner must be root
    or the user of the process.

    start: seconds since the epoch.
    """
    if found.st_mtime < start - TICK_SECONDS:
        raise NotBelieved(
            "pid file %s is stale: it was written %.0f s before pid %d, %s, was started"
            % (path, start - found.st_mtime, process.id.pid, process.comm)
        )
    if found.st_mtime > time.time() + TICK_SECONDS:
        raise NotBelieved(
            "pid file %s has a modification time in the future, by the clock of this host" % path
        )
    if found.st_uid not in (0, user):
        raise NotBelieved(
            "pid file %s belongs to uid %d, and pid %d, %s, to uid %s"
            % (path, found.st_uid, process.id.pid, process.comm, user)
        )


def started(process: "Process") -> float:
    """Return when a process was started, in seconds since the epoch, by the current clock."""
    try:
        ticks = float(os.sysconf("SC_CLK_TCK"))
        return time.time() - time.clock_gettime(CLOCK_BOOTTIME) + process.id.start / ticks
    except OSError:
        raise NotBelieved(
            "this host does not show when pid %d was started" % process.id.pid
        ) from None
