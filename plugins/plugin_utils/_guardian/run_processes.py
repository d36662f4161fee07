# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Search for the local processes of a run, and signals to them.

Only processes of this user are touched. Each is identified by pid and start time.
"""

from __future__ import annotations

import os
import re
import signal
import typing as t

from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    ProcessId,
    ancestors,
    descendants,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.signaller import Signaller
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.endpoint import ENVIRONMENT
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.transfer import mark_of
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import read_ready
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import (
    LocalTable,
    group_of,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.shared_proxies import (
    shared_proxies,
)

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease


class RunProcesses:
    """The processes of one run on this machine: main process, workers, and their clients."""

    def __init__(self, socket_path: str, lifeline: int | None, main: int) -> None:
        """Read and touch no process yet.

        Args:
            socket_path: of the guardian. Clients have it in their environment.
            lifeline: the read end of a pipe, or None. Only the main process and its workers hold
                the write end.
            main: pid of the main process.
        """
        self._mark = f"{ENVIRONMENT}={socket_path}".encode()
        self._lifeline = lifeline
        self.main = main
        self.table = LocalTable()
        self._signaller = Signaller(self.table.process)

    def send(self, process: ProcessId, number: signal.Signals) -> None:
        """Send a signal, if the process is alive and this user may."""
        try:
            self._signaller.send(process, number)
        except (ProcessLookupError, PermissionError):
            # It is gone, which was the purpose. Or it is a setuid client, which ends when its
            # worker's end of the pipe does.
            pass

    def identify(self, pid: int) -> ProcessId | None:
        """Return the identity of a process; None if there is no such process."""
        process = self.table.process(pid) if pid > 1 else None
        return process.id if process else None

    def below(self, worker: ProcessId, trees: t.Sequence[Lease] = ()) -> list[ProcessId]:
        """Return all that this worker has started, without the trees of these local leases.

        Proxies of shared connections may be among them: see `without_shared`.
        """
        cookie = _cookies_of(trees) if trees else None

        def leave_out(pid: int) -> bool:
            # A worker that started the guardian has it below itself. A frozen guardian would give
            # no order.
            return (
                pid == os.getpid()
                or cookie is not None
                and any(map(cookie.search, self.table.arguments(pid)))
            )

        pids = descendants([worker.pid], self.table.children, leave_out)
        return [process for process in map(self.identify, pids) if process is not None]

    def without_shared(self, processes: t.Iterable[ProcessId]) -> list[ProcessId]:
        """Return these processes without the proxies of connections that other runs may need."""
        processes = [*processes]
        shared = shared_proxies(self.table, {process.pid for process in processes})
        return [process for process in processes if process.pid not in shared]

    def group_below(self, worker: ProcessId) -> list[ProcessId]:
        """Return what this worker has started, as far as it is in the worker's process group."""
        group = group_of(worker)
        return self.without_shared(
            process for process in self.below(worker) if group and group_of(process) == group
        )

    def workers(self, pids: t.Iterable[int]) -> set[int]:
        """Return those of these processes that are workers of the run: they hold the lifeline."""
        if self._lifeline is None:
            return set()
        pipe = f"pipe:[{os.fstat(self._lifeline).st_ino}]"
        # A courier that was just forked still holds all descriptors of its parent.
        ours = {os.getpid(), self.main, *self.table.children(os.getpid())}
        return {pid for pid in pids if pid not in ours and _writes_to(pid, pipe)}

    def had_by_workers(self, number: signal.Signals) -> bool:
        """Whether a worker has had this signal, and so the whole group of the main process.

        Each worker writes its signals into its end of the lifeline.
        """
        if self._lifeline is None:
            return False
        os.set_blocking(self._lifeline, False)
        return number in (read_ready(self._lifeline) or b"")

    def stray_clients(self, leases: t.Sequence[Lease]) -> list[ProcessId]:
        """Return the clients of these leases that are in no child list: their worker is dead.

        A client has its lease's cookie in its command line, and the guardian's socket in its
        environment. What runs on the host, which may be this machine, has no such socket. Children
        of this guardian are its couriers. A process that moves a file has its lease in its
        environment.
        """
        marks = {mark_of(lease) for lease in leases}
        cookie = _cookies_of(leases)
        strays = []
        for pid, environment in self.table.environments(self.table.pids()):
            words = environment.split(b"\0") if environment else []
            if self._mark not in words:
                continue
            moves = not marks.isdisjoint(words) and not self._is_of_a_command(
                pid, leases[0].terms.run
            )
            if moves or any(map(cookie.search, self.table.arguments(pid))):
                process = self.identify(pid)
                if process is not None and pid != os.getpid():
                    strays.append(process)
        shared = shared_proxies(self.table, {one.pid for one in strays}, leader=os.getpid())
        return [process for process in strays if process.pid not in shared]

    def _is_of_a_command(self, pid: int, run: str) -> bool:
        """Whether a process belongs to a client with a cookie of the run.

        A client that another thread starts during a file transfer has the mark of the transfer too.
        """
        process = self.table.process(pid)
        above = [process, *ancestors(process, self.table.process)] if process is not None else []
        return any(
            f"TREEKILL={run}/".encode() in word
            for one in above
            for word in self.table.arguments(one.id.pid)
        )


def _cookies_of(leases: t.Iterable[Lease]) -> re.Pattern[bytes]:
    return re.compile(
        b"|".join(
            re.escape(f"TREEKILL={lease.terms.run}/{lease.lease}/".encode()) for lease in leases
        )
    )


def _writes_to(pid: int, pipe: str) -> bool:
    """Whether a process has the write end of this pipe open.

    Guardians hold the read end. There are two of them if a worker could not find the first.
    """
    folder = f"/proc/{pid}/fd"
    try:
        ends = [name for name in os.listdir(folder) if os.readlink(f"{folder}/{name}") == pipe]
        return any(_access_mode(pid, name) == os.O_WRONLY for name in ends)
    except OSError:
        # It is gone, or belongs to another user. In both cases it is no fork of this run.
        return False


def _access_mode(pid: int, descriptor: str) -> int:
    with open(f"/proc/{pid}/fdinfo/{descriptor}", encoding="ascii") as lines:
        flags = next((line.split()[1] for line in lines if line.startswith("flags:")), "0")
    return int(flags, 8) & os.O_ACCMODE
