# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a process of a host is: its identity, its line of the process table, and how the lines hang together.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later, cheap to import.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable, Iterator, List, Optional, Protocol, Tuple

    class ProcessTable(Protocol):
        """What the kill pass asks about the processes of a host. ProcTable says what each method means."""

        @property
        def method(self) -> str:
            """How the table is read: proc or ps."""

        def pids(self) -> "List[int]":
            """Every pid there is now."""

        def last_pid(self) -> "Optional[int]":
            """The pid that was given last."""

        def environments(self, pids: "Iterable[int]") -> "Iterator[Tuple[int, Optional[bytes]]]":
            """(pid, environment) of each."""

        def environment(self, pid: int) -> bytes:
            """The environment of one process."""

        def process(self, pid: int) -> "Optional[Process]":
            """Whoever has the pid now."""

        def arguments(self, pid: int) -> "List[bytes]":
            """The command line."""

        def effective_uid(self, pid: int) -> "Optional[int]":
            """The effective user id."""

        def program(self, pid: int) -> str:
            """The file name of its program."""

        def dispositions(self, pid: int) -> "Tuple[int, int]":
            """Masks of the signals that it ignores, and of those that it handles."""

        def cgroup(self, pid: int) -> bytes:
            """The control groups."""

        def thread_group(self, pid: int) -> "Optional[int]":
            """The process to which a process or thread number belongs."""

        def children(self, pid: int) -> "List[int]":
            """The children of a process."""

        def now(self) -> int:
            """Now, as start times are told."""


class ProcessId:
    """Who a process is: its pid and its start time (clock ticks since boot). A pid alone may be somebody else by now."""

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
    """One line of the process table: identity, parent, state letter, number of threads, name, and whether it is the kernel's own."""

    __slots__ = ("id", "ppid", "state", "threads", "comm", "kernel")

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

    @property
    def alive(self) -> bool:
        """False for a zombie. One whose first thread has ended while others run on (state Z, several threads) is alive."""
        return self.threads > 1 or self.state not in "ZX"

    @property
    def stopped(self) -> bool:
        """Whether a signal or a debugger has stopped it."""
        return self.state in "Tt"

    def __repr__(self) -> str:
        return "Process(%r, ppid=%d, %s, %r)" % (self.id, self.ppid, self.state, self.comm)


def descendants(
    tops: "Iterable[int]",
    children: "Callable[[int], Iterable[int]]",
    leave_out: "Callable[[int], bool]",
) -> "List[int]":
    """All pids below tops, parents before children, each once, also where the table was torn into a circle while it was read.

    What leave_out says True to is not in the list, nor is what can be reached through it only.
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
    """The parents of a process, nearest first, without pid 1 and 0. Ends where a pid was given anew: the parent is younger, or below its child."""
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
