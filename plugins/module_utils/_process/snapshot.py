# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The processes of a host as they stood at one moment: each file of /proc is read once, however many trees are looked for.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, Iterator, List, Optional, Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
        Process,
        ProcessTable,
    )


#: What is kept of a long environment: all that anybody asks of it. Of 200 processes with megabytes each, the rest would take more memory than the task.
_ASKED_FOR = (b"TREEKILL=", b"TREEKILL_KEEP=", b"INVOCATION_ID=", b"SSH_CONNECTION=")
#: From this size on an environment is cut down to that, and a command line is not kept. Our own commands are shorter.
_LONG_BYTES, _LONG_ARGUMENTS_BYTES = 8192, 1 << 17
#: In place of an environment in which nothing of it was: it is not empty.
_NOTHING = b"_="


def kept(environment: "Optional[bytes]") -> "Optional[bytes]":
    """An environment, or of a long one what is asked of it."""
    if environment is None or len(environment) <= _LONG_BYTES:
        return environment
    return (
        b"\0".join(entry for entry in environment.split(b"\0") if entry.startswith(_ASKED_FOR))
        or _NOTHING
    )


class Snapshot:
    """The same methods as ProcTable, answered from what was read when it was made. For looking only: who is signalled is asked for anew.

    hidepid: whether the processes of others do not show.
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
            # Read again, now that the pid is fixed to a process: it may have changed hands since.
            content = table.environment(pid) if seen and b"TREEKILL=" in seen else seen
            if process is not None and (not content or self._is_still(process)):
                self._environments[pid] = kept(content)
                self._processes[pid] = process
                self._children.setdefault(process.ppid, []).append(pid)

    def _is_still(self, process: "Process") -> bool:
        now = self._table.process(process.id.pid)
        return now is not None and now.id == process.id

    def shows(self, pid: int) -> bool:
        """Whether the process is still there: what was read of it after the snapshot is its own only then."""
        process = self._processes.get(pid)
        return process is not None and self._is_still(process)

    def pids(self) -> "List[int]":
        """Every pid there was."""
        return list(self._processes)

    def last_pid(self) -> "Optional[int]":
        """Of no use here: nobody is born."""
        return None

    def environments(self, pids: "Iterable[int]") -> "Iterator[Tuple[int, Optional[bytes]]]":
        """(pid, environment) of each; None instead of the environment where it may not be read."""
        for pid in pids:
            if pid in self._processes:
                yield pid, self._environments[pid]

    def environment(self, pid: int) -> bytes:
        """The environment of one process; empty if there was none, or it may not be read."""
        process = self._processes.get(pid)
        if process is not None and not self._environments[pid] and process.threads > 1:
            content = kept(self._table.environment(pid))
            self._environments[pid] = (
                content if content and self.shows(pid) else self._environments[pid]
            )
        return self._environments.get(pid) or b""

    def process(self, pid: int) -> "Optional[Process]":
        """Whoever had the pid."""
        return self._processes.get(pid)

    def arguments(self, pid: int) -> "List[bytes]":
        """The command line, as it was when it was asked for first. One of unusual length is read each time."""
        if pid in self._arguments:
            return self._arguments[pid]
        words = self._table.arguments(pid) if pid in self._processes else []
        told = b"TREEKILL=" in words[-1] or b"treekill" in words[0] if words else False
        if told and not self.shows(pid):
            words = []
        if sum(map(len, words)) <= _LONG_ARGUMENTS_BYTES:
            self._arguments[pid] = words
        return words

    def effective_uid(self, pid: int) -> "Optional[int]":
        """The effective user id, as it was when it was asked for first; None for a process that is gone by now."""
        if pid not in self._users:
            user = self._table.effective_uid(pid)
            self._users[pid] = user if self.shows(pid) else None
        return self._users[pid]

    def program(self, pid: int) -> str:
        """The file name of its program, as it is now."""
        return self._table.program(pid)

    def dispositions(self, pid: int) -> "Tuple[int, int]":
        """Masks of the signals that it ignores, and of those that it handles, as they are now."""
        return self._table.dispositions(pid)

    def cgroup(self, pid: int) -> bytes:
        """The control groups: empty for whoever is gone by now."""
        return self._table.cgroup(pid)

    def thread_group(self, pid: int) -> "Optional[int]":
        """The number itself: only processes are listed."""
        return pid if pid in self._processes else None

    def children(self, pid: int) -> "List[int]":
        """The children of a process."""
        return self._children.get(pid, [])

    def now(self) -> int:
        """Now, as start times are told."""
        return self._table.now()
