# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The processes of a host, read from /proc, each identified by its pid and start time.

Blind spots:

- A process that overwrites its own environment block (setproctitle) does not show it any more.
- With hidepid, the processes of other users are not listed at all.
- /proc of another pid namespace has numbers that mean other processes to kill(2).
"""

import os
import time

from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    Process,
    ProcessId,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.shortage import (
    SHORTAGE,
    patiently,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, Iterator, List, Optional, Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._process.model import Pipes

#: See clock_gettime(2). Python 3.6 has no name for it.
CLOCK_BOOTTIME = 7

#: Most environments and nearly all command lines fit in one read. Longer ones take further reads.
_READ_BYTES = 32768


def parse_stat(raw: bytes) -> "Process":
    """Return the process that a line of /proc/PID/stat describes, see proc_pid_stat(5).

    The name may hold brackets, spaces, newlines and bytes that are not UTF-8.

    Raises ValueError or IndexError for half a line, or another text.
    """
    left, dummy, right = raw.rpartition(b") ")
    pid, dummy, comm = left.partition(b" (")
    field = right.split()
    # PF_KTHREAD is 0x00200000 and PF_EXITING is 4 in every Linux since 2.6.
    flags, threads = int(field[6]), int(field[17])
    process = Process(
        ProcessId(int(pid), int(field[19])),
        int(field[1]),
        field[0].decode("ascii"),
        threads,
        comm.decode("utf-8", "replace"),
        bool(flags & 0x200000),
    )
    # The first thread can end while the others run on.
    process.exiting = bool(flags & 4) and threads < 2
    return process


def _number_behind(label: bytes, raw: bytes, place: int) -> "Optional[int]":
    """Return the number at that place of the line that begins with the label.

    Return None if there is no such line, or no number in that place.
    """
    at = raw.find(label)
    words = raw[at : at + 60].split() if at >= 0 else []
    return int(words[place]) if len(words) > place and words[place].isdigit() else None


def _mask_behind(label: bytes, raw: bytes) -> int:
    """Return the hexadecimal number behind the label; 0 without one."""
    words = raw.partition(label)[2][:40].split(None, 1)
    try:
        return int(words[0], 16) if words else 0
    except ValueError:
        return 0


class ProcTable:
    """The process table, read from /proc.

    Methods return None, or nothing, for a process that has ended. They return None for an
    environment that may not be read.
    """

    method = "proc"

    def __init__(self, mount: str = "/proc") -> None:
        self._mount = mount + "/"
        own = os.getpid()
        # CONFIG_PROC_CHILDREN: the kernels of all current distributions have it, some older ones do
        # not.
        self._lists_children = os.path.exists("%s%d/task/%d/children" % (self._mount, own, own))
        # With hidepid the processes of others are not listed, though kill(2) reaches them.
        self.hidepid = not os.access(self._mount + "1/stat", os.R_OK)
        self._index: Optional[Dict[int, List[int]]] = None

    @property
    def usable(self) -> bool:
        """Whether there is a /proc, and it is that of this process's pid namespace."""
        try:
            return os.readlink(self._mount + "self") == str(os.getpid())
        except OSError:
            return False

    def pids(self) -> "List[int]":
        """Return every current pid."""
        self._index = None
        return [int(name) for name in self._list("") if name.isdigit()]

    def last_pid(self) -> "Optional[int]":
        """Return the last pid given to a process or thread in this pid namespace.

        Return None if the kernel does not show it.
        """
        self._index = None
        raw = self._read("sys/kernel/ns_last_pid")
        try:
            return int(raw) if raw else None
        except ValueError:
            return None

    def environments(self, pids: "Iterable[int]") -> "Iterator[Tuple[int, Optional[bytes]]]":
        """Yield (pid, environment) for each pid. The entries are separated by NUL.

        The environment is None if it may not be read.

        This loop runs over all processes of the host: if it is slow, every kill is slow.
        """
        form = self._mount + "%d/environ"
        system_open, system_read, system_close, read_only = os.open, os.read, os.close, os.O_RDONLY
        for pid in pids:
            try:
                descriptor = system_open(form % pid, read_only)
            except PermissionError:
                yield pid, b"" if self._ends(pid) else None
                continue
            except ProcessLookupError:
                yield pid, b""  # a zombie: newer kernels do not open it, older ones show nothing
                continue
            except OSError as error:
                if error.errno not in SHORTAGE:
                    continue  # it has ended since the listing
                other = self._open_patiently(error, form % pid)
                if other is None:
                    continue
                descriptor = other
            try:
                content = system_read(descriptor, _READ_BYTES)
                if len(content) == _READ_BYTES:
                    content = self._read_on(descriptor, content)
            except OSError as error:
                if error.errno in SHORTAGE:
                    raise
                continue  # it has ended between open and read
            finally:
                system_close(descriptor)
            yield pid, content

    def _ends(self, pid: int) -> bool:
        """Whether a process of this user is ending. Its environment belongs to root by then."""
        try:
            # A host has many processes of other users. Their owner is read three times as fast as
            # their state.
            if os.stat("%s%d" % (self._mount, pid)).st_uid != os.geteuid():
                return False
        except OSError:
            return True
        process = self.process(pid)
        return process is None or not process.alive or process.exiting

    def environment(self, pid: int) -> bytes:
        """Return the environment of one process; empty if it has ended or may not be read."""
        for dummy, content in self.environments((pid,)):
            if content:
                return content
        if self._threads(pid)[1:]:
            from ansible_collections.treekill.remote.plugins.module_utils._process.proc_rare import (  # noqa: E501
                thread_environment,
            )

            return thread_environment(self._mount, pid)
        return b""

    def process(self, pid: int) -> "Optional[Process]":
        """Return the process that has the pid now."""
        raw = self._read("%d/stat" % pid)
        try:
            if raw:
                return parse_stat(raw)
        except (IndexError, ValueError):
            # no known kernel writes that; the process can be named, and is never taken for another
            # one
            pass
        if raw or self.hidepid:
            from ansible_collections.treekill.remote.plugins.module_utils._process.proc_rare import (  # noqa: E501
                hidden_process,
            )

            return hidden_process(pid)
        return None

    def arguments(self, pid: int) -> "List[bytes]":
        """Return the command line of a process, empty for threads of the kernel and zombies."""
        raw = self._read("%d/cmdline" % pid)
        return raw.rstrip(b"\0").split(b"\0") if raw else []

    def effective_uid(self, pid: int) -> "Optional[int]":
        """Return the effective user id.

        The owner of the directory is not used: it is root for every process that may not be dumped.
        """
        raw = self._read("%d/status" % pid) or b""
        return _number_behind(b"\nUid:", raw, 2)

    def program(self, pid: int) -> str:
        """Return the file name of the program; empty if the process has ended or hides it."""
        try:
            name = os.readlink("%s%d/exe" % (self._mount, pid))
        except OSError:
            return ""
        return name.rpartition("/")[2].partition(" (deleted)")[0]

    def dispositions(self, pid: int) -> "Tuple[int, int]":
        """Return the signals that a process ignores, and those that it handles.

        They are masks in which signal 1 is the lowest bit.
        """
        raw = self._read("%d/status" % pid) or b""
        return _mask_behind(b"\nSigIgn:", raw), _mask_behind(b"\nSigCgt:", raw)

    def pipes(self, pid: int) -> "Pipes":
        """Return the pipes that a process has open."""
        from ansible_collections.treekill.remote.plugins.module_utils._process.proc_rare import (
            open_pipes,
        )

        return open_pipes(self._mount, pid)

    def cgroup(self, pid: int) -> bytes:
        """Return the control groups of a process, in the format of proc_pid_cgroup(5).

        Return nothing if it has ended, or if there are no such groups.
        """
        return self._read("%d/cgroup" % pid) or b""

    def thread_group(self, pid: int) -> "Optional[int]":
        """Return the pid of the process to which a process or thread number belongs.

        /proc knows the numbers of both, and lists only those of processes.
        """
        raw = self._read("%d/status" % pid) or b""
        return _number_behind(b"\nTgid:", raw, 1)

    def children(self, pid: int) -> "List[int]":
        """Return the children of all threads of a process."""
        if not self._lists_children:
            if self._index is None:
                from ansible_collections.treekill.remote.plugins.module_utils._process.proc_rare import (  # noqa: E501
                    children_by_parent,
                )

                self._index = children_by_parent(self)
            return self._index.get(pid, [])
        found: List[int] = []
        for thread in self._threads(pid):
            try:
                found.extend(
                    map(int, (self._read("%d/task/%s/children" % (pid, thread)) or b"").split())
                )
            except ValueError:
                pass  # no kernel writes that; the children before it count
        return found

    def now(self) -> int:
        """Return the clock ticks since boot, as in start times; 0 if the kernel does not say."""
        try:
            return int(time.clock_gettime(CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))
        except OSError:
            return 0

    def _threads(self, pid: int) -> "List[str]":
        try:
            return self._list("%d/task" % pid)
        except OSError as error:
            if error.errno in SHORTAGE:
                raise
            return []

    def _list(self, path: str) -> "List[str]":
        try:
            return os.listdir(self._mount + path)
        except OSError as error:
            names: List[str] = patiently(error, os.listdir, self._mount + path)
            return names

    @staticmethod
    def _open_patiently(error: OSError, path: str) -> "Optional[int]":
        """Open the file when a descriptor is free again. Return None if the file is gone by then.

        Raises OSError if there is still no descriptor.
        """
        try:
            descriptor: int = patiently(error, os.open, path, os.O_RDONLY)
        except OSError as last:
            if last.errno in SHORTAGE:
                raise
            return None
        return descriptor

    def _read(self, path: str) -> "Optional[bytes]":
        try:
            descriptor = os.open(self._mount + path, os.O_RDONLY)
        except OSError as error:
            other = (
                self._open_patiently(error, self._mount + path) if error.errno in SHORTAGE else None
            )
            if other is None:
                return None
            descriptor = other
        try:
            content = os.read(descriptor, _READ_BYTES)
            # A read of a list ends with the last whole entry before the end of a page.
            return self._read_on(descriptor, content) if len(content) > 2000 else content
        except OSError as error:
            if error.errno in SHORTAGE:
                raise
            return None
        finally:
            os.close(descriptor)

    def _read_on(self, descriptor: int, content: bytes) -> bytes:
        from ansible_collections.treekill.remote.plugins.module_utils._process.proc_rare import (
            read_on,
        )

        return read_on(descriptor, content)
