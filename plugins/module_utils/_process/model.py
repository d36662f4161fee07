# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The model of a process: its identity, its line of the process table, and its relatives."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable, Iterator, List, Optional, Protocol, Set, Tuple

    #: The pipes that a process reads, those that it writes, and its standard input. The last value
    #: is whether it is at the other end of a terminal, and so reads its output.
    Pipes = Tuple[Set[str], Set[str], Set[str], bool]

    class ProcessTable(Protocol):
        """The questions of a kill pass about a host's processes. ProcTable explains each method."""

        @property
        def method(self) -> str:
            """Source of the table: proc or ps."""

        def pids(self) -> "List[int]":
            """Return every current pid."""

        def last_pid(self) -> "Optional[int]":
            """Return the pid that was given last."""

        def environments(self, pids: "Iterable[int]") -> "Iterator[Tuple[int, Optional[bytes]]]":
            """Yield (pid, environment) for each pid."""

        def environment(self, pid: int) -> bytes:
            """Return the environment of one process."""

        def process(self, pid: int) -> "Optional[Process]":
            """Return the process that has the pid now."""

        def arguments(self, pid: int) -> "List[bytes]":
            """Return the command line."""

        def effective_uid(self, pid: int) -> "Optional[int]":
            """Return the effective user id."""

        def program(self, pid: int) -> str:
            """Return the file name of the process's program."""

        def dispositions(self, pid: int) -> "Tuple[int, int]":
            """Return the masks of the signals that it ignores, and of those that it handles."""

        def pipes(self, pid: int) -> "Pipes":
            """Return the pipes that it has open."""

        def cgroup(self, pid: int) -> bytes:
            """Return the control groups."""

        def thread_group(self, pid: int) -> "Optional[int]":
            """Return the process to which a process or thread number belongs."""

        def children(self, pid: int) -> "List[int]":
            """Return the children of a process."""

        def now(self) -> int:
            """Return the current time, in the unit of start times."""


class ProcessId:
    """The identity of a process: its pid and its start time (clock ticks since boot).

    A pid alone may belong to another process by now.
    """

    __slots__ = ("pid", "start")

    def __init__(self, pid: int, start: int) -> None:
        self.pid = pid
        self.start = start

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProcessId) and self.pid == other.pid and self.start == other.start

    def __hash__(self) -> int:
        return hash((self.pid, self.start))

    def __repr__(self) -> str:
        return "ProcessId(%d, %d)" % (self.pid, self.start)


class Process:
    """One line of the process table.

    It holds identity, parent, state letter, number of threads, name, and whether the process is a
    thread of the kernel.

    exiting: whether it is about to end, and so starts no other process.
    """

    __slots__ = ("id", "ppid", "state", "threads", "comm", "kernel", "exiting")

    def __init__(
        self,
        process: "ProcessId",
        ppid: int,
        state: str = "S",
        threads: int = 1,
        comm: str = "",
        kernel: bool = False,
    ) -> None:
        self.id = process
        self.ppid = ppid
        self.state = state
        self.threads = threads
        self.comm = comm
        self.kernel = kernel
        self.exiting = False

    @property
    def alive(self) -> bool:
        """Whether the process has not ended. A zombie has.

        A process whose first thread has ended while others run on is alive: state Z, several
        threads.
        """
        return self.threads > 1 or self.state not in "ZX"

    @property
    def stopped(self) -> bool:
        """Whether a signal or a debugger has stopped the process."""
        return self.state in "Tt"

    def __repr__(self) -> str:
        return "Process(%r, ppid=%d, %s, %r)" % (self.id, self.ppid, self.state, self.comm)


def descendants(
    tops: "Iterable[int]",
    children: "Callable[[int], Iterable[int]]",
    leave_out: "Callable[[int], bool]",
) -> "List[int]":
    """Return all pids below `tops`, parents before children, each once.

    The table changes while it is read, so parents may form a circle.

    leave_out: pids for which it returns True are left out, and so is what is reachable only through
    them.
    """
    order: List[int] = []
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
    """Return the parents of a process, nearest first, without pid 1 and 0.

    The list ends at a pid that was reused: such a parent is younger than its child, or is below
    it.
    """
    chain: List[Process] = []
    known = {0, 1, process.id.pid}
    while process.ppid not in known:
        parent = find(process.ppid)
        if parent is None or parent.id.start > process.id.start:
            break
        chain.append(parent)
        known.add(parent.id.pid)
        process = parent
    return chain
