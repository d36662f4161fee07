# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The processes of a host at one moment.

Each file of /proc is read once, however many trees are searched.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, Iterator, List, Optional, Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
        Pipes,
        Process,
        ProcessTable,
    )


#: The entries that are kept of a long environment: no code needs any other. 200 processes may have
#: megabytes each; the rest would take more memory than the task.
_ASKED_FOR = (b"TREEKILL=", b"TREEKILL_KEEP=", b"INVOCATION_ID=", b"SSH_CONNECTION=")
#: From this size on, only those entries of an environment are kept, and a command line is not kept.
#: The commands of this collection are shorter.
_LONG_BYTES, _LONG_ARGUMENTS_BYTES = 8192, 1 << 17
#: Represents an environment that had none of these entries: such an environment is not empty.
_NOTHING = b"_="


def kept(environment: "Optional[bytes]") -> "Optional[bytes]":
    """Return the environment; of a long one only the entries that are needed."""
    if environment is None or len(environment) <= _LONG_BYTES:
        return environment
    return (
        b"\0".join(entry for entry in environment.split(b"\0") if entry.startswith(_ASKED_FOR))
        or _NOTHING
    )


class Snapshot:
    """A process table with the methods of ProcTable, read once when it is made.

    It is for looking only: before a process is signalled, it is looked up again.

    hidepid: whether the processes of other users are hidden.
    """

    def __init__(self, table: "ProcessTable") -> None:
        self.method = table.method
        self.hidepid: bool = getattr(table, "hidepid", False)
        self._table = table
        self._environments: Dict[int, Optional[bytes]] = {}
        self._processes: Dict[int, Process] = {}
        self._children: Dict[int, List[int]] = {}
        self._arguments: Dict[int, List[bytes]] = {}
        self._users: Dict[int, Optional[int]] = {}
        for pid, seen in table.environments(table.pids()):
            process = table.process(pid)
            # Read it again, now that the pid is fixed to a process: the pid may have changed hands
            # since.
            content = table.environment(pid) if seen and b"TREEKILL=" in seen else seen
            if process is not None and (not content or self._is_still(process)):
                self._environments[pid] = kept(content)
                self._processes[pid] = process
                self._children.setdefault(process.ppid, []).append(pid)

    def _is_still(self, process: "Process") -> bool:
        now = self._table.process(process.id.pid)
        return now is not None and now.id == process.id

    def shows(self, pid: int) -> bool:
        """Whether the process is still there. Only then are later readings its own."""
        process = self._processes.get(pid)
        return process is not None and self._is_still(process)

    def pids(self) -> "List[int]":
        """Return every pid of that moment."""
        return list(self._processes)

    def last_pid(self) -> "Optional[int]":
        """Return None: a snapshot has no later pids."""
        return None

    def environments(self, pids: "Iterable[int]") -> "Iterator[Tuple[int, Optional[bytes]]]":
        """Yield (pid, environment) for each pid. The environment is None if it may not be read."""
        for pid in pids:
            if pid in self._processes:
                yield pid, self._environments[pid]

    def environment(self, pid: int) -> bytes:
        """Return the environment of one process; empty if it had none, or it may not be read."""
        process = self._processes.get(pid)
        if process is not None and not self._environments[pid] and process.threads > 1:
            content = kept(self._table.environment(pid))
            self._environments[pid] = (
                content if content and self.shows(pid) else self._environments[pid]
            )
        return self._environments.get(pid) or b""

    def process(self, pid: int) -> "Optional[Process]":
        """Return the process that had the pid."""
        return self._processes.get(pid)

    def arguments(self, pid: int) -> "List[bytes]":
        """Return the command line at the first call. A very long one is read each time."""
        if pid in self._arguments:
            return self._arguments[pid]
        words = self._table.arguments(pid) if pid in self._processes else []
        ours = b"TREEKILL=" in words[-1] or b"treekill" in words[0] if words else False
        if ours and not self.shows(pid):
            words = []
        if sum(map(len, words)) <= _LONG_ARGUMENTS_BYTES:
            self._arguments[pid] = words
        return words

    def effective_uid(self, pid: int) -> "Optional[int]":
        """Return the effective user id at the first call; None if the process has ended by then."""
        if pid not in self._users:
            user = self._table.effective_uid(pid)
            self._users[pid] = user if self.shows(pid) else None
        return self._users[pid]

    def program(self, pid: int) -> str:
        """Return the file name of its current program."""
        return self._table.program(pid)

    def dispositions(self, pid: int) -> "Tuple[int, int]":
        """Return the current masks of the signals that it ignores, and of those that it handles."""
        return self._table.dispositions(pid)

    def pipes(self, pid: int) -> "Pipes":
        """Return the pipes that it has open now."""
        return self._table.pipes(pid)

    def cgroup(self, pid: int) -> bytes:
        """Return the control groups: empty if the process has ended."""
        return self._table.cgroup(pid)

    def thread_group(self, pid: int) -> "Optional[int]":
        """Return the number itself: a snapshot lists only processes."""
        return pid if pid in self._processes else None

    def children(self, pid: int) -> "List[int]":
        """Return the children of a process."""
        return self._children.get(pid, [])

    def now(self) -> int:
        """Return the current time, in the unit of start times."""
        return self._table.now()
