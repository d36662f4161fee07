# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The processes of a host, read from /proc, each known by its pid and start time.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later, cheap to import.

Blind spots: a process that overwrites its own environment block (setproctitle) no longer shows what was in it; with hidepid the
processes of others are not there at all; /proc of another pid namespace than our own gives numbers that mean nothing to kill.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Iterable, Iterator, List, Optional, Tuple

# Most environments and all but freak command lines fit in one read; what is longer is read on.
_READ_BYTES = 32768
# An environment as large as the kernel allows (a quarter of an 8 MiB stack, or 6 MiB) is read whole, a runaway never.
_LONGEST_BYTES = 8 << 20


class ProcessId:
    """Who a process is: its pid and its start time (clock ticks since boot). A pid alone may be somebody else by now."""

    __slots__ = ("pid", "start")

    def __init__(self, pid: "int", start: "int") -> "None":
        self.pid = pid
        self.start = start

    def __eq__(self, other: "object") -> "bool":
        return isinstance(other, ProcessId) and self.pid == other.pid and self.start == other.start

    def __hash__(self) -> "int":
        return hash((self.pid, self.start))

    def __repr__(self) -> "str":
        return "ProcessId(%d, %d)" % (self.pid, self.start)


class Process:
    """One line of the process table: identity, parent, state letter, number of threads, name, and whether it is the kernel's own."""

    __slots__ = ("id", "ppid", "state", "threads", "comm", "kernel")

    def __init__(self, process: "ProcessId", ppid: "int", state: "str" = "S", threads: "int" = 1, comm: "str" = "", kernel: "bool" = False) -> "None":
        self.id = process
        self.ppid = ppid
        self.state = state
        self.threads = threads
        self.comm = comm
        self.kernel = kernel

    @property
    def alive(self) -> "bool":
        """False for a zombie. One whose first thread has ended while others run on (state Z, several threads) is alive."""
        return self.threads > 1 or self.state not in "ZX"

    @property
    def stopped(self) -> "bool":
        return self.state in "Tt"

    def __repr__(self) -> "str":
        return "Process(%r, ppid=%d, %s, %r)" % (self.id, self.ppid, self.state, self.comm)


def parse_stat(raw: "bytes") -> "Process":
    """A line of /proc/PID/stat, see proc_pid_stat(5). The name may hold brackets, spaces, newlines and bytes that are no UTF-8."""
    left, dummy, right = raw.rpartition(b") ")
    pid, dummy, comm = left.partition(b" (")
    field = right.split()
    # PF_KTHREAD is 0x00200000 in every Linux since 2.6
    return Process(
        ProcessId(int(pid), int(field[19])), int(field[1]), field[0].decode("ascii"), int(field[17]), comm.decode("utf-8", "replace"), bool(int(field[6]) & 0x200000)
    )


def descendants(tops: "Iterable[int]", children: "Callable[[int], Iterable[int]]", leave_out: "Callable[[int], bool]") -> "List[int]":
    """All pids below tops, parents before children, each once, also where the table was torn into a circle while it was read.

    What leave_out says True to is not in the list, nor is what can be reached through it only.
    """
    order = []  # type: List[int]
    queue = list(tops)
    known = set(queue)
    for parent in queue:
        for pid in children(parent):
            if pid not in known and not leave_out(pid):
                known.add(pid)
                queue.append(pid)
                order.append(pid)
    return order


def ancestors(process: "Process", find: "Callable[[int], Optional[Process]]") -> "List[Process]":
    """The parents of a process, nearest first, without pid 1 and 0. Ends where a parent is younger than its child: a pid given anew."""
    chain = []  # type: List[Process]
    while process.ppid > 1:
        parent = find(process.ppid)
        if parent is None or parent.id.start > process.id.start or len(chain) > 10000:
            break
        chain.append(parent)
        process = parent
    return chain


class ProcTable:
    """Reads /proc. Methods give None, or nothing, for a process that is gone; PermissionError is said to the caller as denied."""

    method = "proc"

    def __init__(self, mount: "str" = "/proc") -> "None":
        self._mount = mount + "/"
        self._index = None  # type: Optional[Dict[int, List[int]]]
        # CONFIG_PROC_CHILDREN: in every distribution's kernel of today, not in all of the older ones
        self._lists_children = os.path.exists("%s%d/task/%d/children" % (self._mount, os.getpid(), os.getpid()))
        self._counts = self._own_namespace()

    def _own_namespace(self) -> "bool":
        try:
            return os.readlink(self._mount + "self") == str(os.getpid())
        except OSError:
            return False

    @property
    def usable(self) -> "bool":
        """Whether this is the /proc of our own pid namespace."""
        return self._counts and self.process(os.getpid()) is not None

    def pids(self) -> "List[int]":
        """Every pid there is now."""
        self._index = None
        return [int(name) for name in os.listdir(self._mount) if name.isdigit()]

    def newest(self) -> "Optional[int]":
        """The pid that was given last, to a process or thread, in our pid namespace; None where the kernel does not say."""
        raw = self._read("sys/kernel/ns_last_pid")
        return int(raw) if raw else None

    def environments(self, pids: "Iterable[int]") -> "Iterator[Tuple[int, Optional[bytes]]]":
        """(pid, environment) of each, NUL-separated; None instead of the environment where it may not be read.

        This loop runs over all processes of the host: what is slow here makes every kill slow.
        """
        form = self._mount + "%d/environ"
        system_open, system_read, system_close, read_only = os.open, os.read, os.close, os.O_RDONLY
        for pid in pids:
            try:
                descriptor = system_open(form % pid, read_only)
            except PermissionError:
                yield pid, None
                continue
            except OSError:
                continue  # gone since the listing
            try:
                content = system_read(descriptor, _READ_BYTES)
                if len(content) == _READ_BYTES:
                    content = _read_on(descriptor, content)
            except OSError:
                continue  # gone between open and read (ESRCH), or its memory is (EIO)
            finally:
                system_close(descriptor)
            yield pid, content

    def environment(self, pid: "int") -> "Optional[bytes]":
        for dummy, content in self.environments((pid,)):
            return content
        return None

    def thread_environment(self, pid: "int") -> "bytes":
        """The environment by way of a thread, for a process whose first thread has ended."""
        for thread in self._threads(pid):
            content = self._read("%d/task/%s/environ" % (pid, thread))
            if content:
                return content
        return b""

    def process(self, pid: "int") -> "Optional[Process]":
        raw = self._read("%d/stat" % pid)
        return parse_stat(raw) if raw else None

    def arguments(self, pid: "int") -> "List[bytes]":
        """The command line of a process, empty for the kernel's own and for zombies."""
        raw = self._read("%d/cmdline" % pid)
        return raw.rstrip(b"\0").split(b"\0") if raw else []

    def user(self, pid: "int") -> "Optional[int]":
        """The effective user id. Not the owner of the directory: that is root's for every process that may not be dumped."""
        raw = self._read("%d/status" % pid) or b""
        at = raw.find(b"\nUid:")
        return int(raw[at + 5:at + 60].split()[1]) if at >= 0 else None

    def children(self, pid: "int") -> "List[int]":
        """The children of all threads of a process."""
        if not self._lists_children:
            return self._children_of(pid)
        found = []  # type: List[int]
        for thread in self._threads(pid):
            raw = self._read("%d/task/%s/children" % (pid, thread))
            if raw:
                found.extend(map(int, raw.split()))
        return found

    def _children_of(self, pid: "int") -> "List[int]":
        if self._index is None:
            index = {}  # type: Dict[int, List[int]]
            for other in self.pids():
                process = self.process(other)
                if process is not None:
                    index.setdefault(process.ppid, []).append(other)
            self._index = index
        return self._index.get(pid, [])

    def _threads(self, pid: "int") -> "List[str]":
        try:
            return os.listdir("%s%d/task" % (self._mount, pid))
        except OSError:
            return []

    def _read(self, path: "str") -> "Optional[bytes]":
        try:
            descriptor = os.open(self._mount + path, os.O_RDONLY)
        except OSError:
            return None
        try:
            content = os.read(descriptor, _READ_BYTES)
            return _read_on(descriptor, content) if len(content) >= 2048 else content  # one read of a generated file may end anywhere near a page
        except OSError:
            return None
        finally:
            os.close(descriptor)


def _read_on(descriptor: "int", content: "bytes") -> "bytes":
    parts = [content]
    total = len(content)
    while content and total < _LONGEST_BYTES:
        content = os.read(descriptor, _READ_BYTES)
        parts.append(content)
        total += len(content)
    return b"".join(parts)
