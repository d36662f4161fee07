# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The local side of an interruption: workers, and the clients that they have started.

They are frozen first and ended last.

They are not killed at once. When an ssh client with a pty dies, its host hangs up half of the tree.
Then orphans that cleared their environment can no longer be found.
"""

from __future__ import annotations

import collections
import dataclasses
import signal
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.idle_workers import (
    IdleWorkers,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.no_session import (
    FrozenWorker,
    without_session,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.run_processes import (
    RunProcesses,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.window_order import (
    FrozenLease,
    order_by_window,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.askpass_files import (
    forget,
    shared_passwords,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import group_of

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease
    from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop

#: Seconds between the end of a worker's client and that of the worker. A worker may be frozen while
#: it writes to the queue of the main process. It then holds a lock for which the main process
#: waits, so it must finish the write.
_LAST_OUTPUT_SECONDS = 0.5

#: Ratio of the pause before the next scan of all processes to the duration of the last scan.
#: Couriers need the processor.
_REST_FACTOR = 4.0


@dataclasses.dataclass
class _Frozen:
    worker: ProcessId | None
    clients: list[ProcessId]
    #: The files with passwords that the clients were given.
    passwords: set[str] = dataclasses.field(default_factory=set)


class LocalProcesses:
    """The local processes of leases, which it freezes, resumes and ends."""

    def __init__(self, loop: Loop, socket_path: str, lifeline: int | None, main: int = 0) -> None:
        """Read and touch no process yet.

        Args:
            loop: for timers.
            socket_path: of the guardian. Clients have it in their environment.
            lifeline: the read end of a pipe, or None. Only the main process and its workers hold
                the write end.
            main: pid of the main process.
        """
        self._loop = loop
        self._processes = RunProcesses(socket_path, lifeline, main)
        self._idle = IdleWorkers(loop, self._processes)
        self._frozen: dict[str, _Frozen] = {}
        #: The number of leases that each worker holds. Threads may send several commands, and the
        #: lease of a job stays open while the job is polled.
        self._leases_of: collections.Counter[ProcessId] = collections.Counter()
        self._pending = 0
        self._strays_of: list[Lease] = []
        self._next_look = 0.0
        self._alone = False

    @property
    def idle(self) -> IdleWorkers:
        """The workers without a lease."""
        return self._idle

    @property
    def resumes(self) -> bool:
        """Whether workers are resumed, and told to end their tasks.

        The run goes on with its `always` sections then.
        """
        return self._idle.ends_tasks

    @resumes.setter
    def resumes(self, resumes: bool) -> None:
        self._idle.ends_tasks = resumes

    @property
    def busy(self) -> bool:
        """Whether a timer is still set that ends or signals something."""
        return self._pending > 0 or self._idle.busy

    def freeze(self, leases: t.Iterable[Lease]) -> None:
        """Stop the workers that hold these leases, and their clients."""
        # The worker of a detached job has ended. Its pid may belong to another process by now.
        held = [lease for lease in leases if not lease.detached]
        trees = collections.defaultdict(list)
        for lease in held:
            if lease.terms.local:
                trees[lease.worker].append(lease)
        begun: dict[str, tuple[ProcessId | None, list[ProcessId]]] = {}
        for lease in held:
            # The main process has all workers below it, and it ends the run itself.
            worker = (
                self._processes.identify(lease.worker)
                if lease.worker != self._processes.main
                else None
            )
            # Everything that a local connection has started is the tree itself, which the kill pass
            # freezes.
            clients = (
                []
                if lease.terms.local or worker is None
                else self._processes.below(worker, trees[worker.pid])
            )
            for process in [*([worker] if worker else []), *clients[:1]]:
                self._processes.send(process, signal.SIGSTOP)
            begun[lease.lease] = worker, clients
        # What a client has started may be the proxy of a connection that others share. One look at
        # all processes shows which.
        ours = {*self._processes.without_shared(one for pair in begun.values() for one in pair[1])}
        for name, (worker, found) in begun.items():
            clients = [client for client in found if client in ours]
            for process in clients[1:]:
                self._processes.send(process, signal.SIGSTOP)
            self._frozen[name] = _Frozen(worker, clients)
            if worker is not None:
                self._leases_of[worker] += 1
        # When all are stopped: a client that ends later shows no environment any more.
        for lease in held:
            frozen = self._frozen[lease.lease]
            frozen.passwords = self._passwords_of(frozen.clients)

    def resume(self, lease: str) -> None:
        """Resume the worker of a lease that was done after all."""
        frozen = self._take_out(lease)
        for process in [*frozen.clients, *([frozen.worker] if frozen.worker else [])]:
            self._processes.send(process, signal.SIGCONT)
        if self.resumes and frozen.worker is not None:
            self._idle.end_task(frozen.worker)

    def _take_out(self, lease: str) -> _Frozen:
        """Remove and return what is frozen for this lease alone.

        If the worker holds another lease, that lease gets all of it. The clients do not show to
        which lease they belong.
        """
        frozen = self._frozen.pop(lease, None) or _Frozen(None, [])
        if frozen.worker is None:
            return frozen
        self._leases_of[frozen.worker] -= 1
        if not self._leases_of[frozen.worker]:
            del self._leases_of[frozen.worker]
            return frozen
        other = next(one for one in self._frozen.values() if one.worker == frozen.worker)
        other.clients += [client for client in frozen.clients if client not in other.clients]
        other.passwords |= frozen.passwords
        return _Frozen(None, [])

    def not_begun(self, leases: t.Iterable[Lease], noted: t.Callable[[str], bool]) -> set[str]:
        """Return the ids of those frozen leases under which nothing can have begun on the host.

        `noted`: whether the worker has noted that something may have begun.
        """
        unnoted = {}
        leases = [*leases]
        holders = collections.Counter(lease.worker for lease in leases)
        for lease in leases:
            # The lease of a job stays open while its worker polls the job. The client of a poll is
            # not that of the job.
            if holders[lease.worker] > 1:
                continue
            frozen = self._frozen.get(lease.lease)
            if frozen is not None and frozen.worker is not None and not noted(lease.lease):
                if lease.terms.notes:
                    unnoted[lease.lease] = FrozenWorker(frozen.worker)
                elif lease.terms.client is not None:
                    unnoted[lease.lease] = FrozenWorker(
                        frozen.worker, tuple(frozen.clients), lease.terms.client
                    )
        # The worker may have written its note just before it stopped.
        return {
            lease for lease in without_session(unnoted, self._processes.table) if not noted(lease)
        }

    def cut(self, lease: Lease) -> None:
        """End the clients of a frozen lease, and with them its channel."""
        frozen = self._frozen.get(lease.lease)
        if frozen is None or frozen.worker is None or self._leases_of[frozen.worker] > 1:
            return
        for client in frozen.clients:
            self._processes.send(client, signal.SIGKILL)

    def order_by_window(self, leases: t.Iterable[Lease]) -> None:
        """Give the kill order of frozen leases by the terminals of their clients.

        Nothing shows whether it arrives. Each client stays frozen. The threads of a worker may have
        several clients, which do not show to which lease they belong.
        """
        frozen = ((lease.lease, self._frozen.get(lease.lease)) for lease in leases)
        order_by_window(
            (
                FrozenLease(lease, one.worker, tuple(one.clients))
                for lease, one in frozen
                if one is not None and one.worker is not None and self._leases_of[one.worker] == 1
            ),
            self._processes.table,
            self._processes.send,
        )

    def end_clients_of(self, lease: Lease) -> None:
        """End the clients of a lease whose kill order has been tried."""
        frozen = self._take_out(lease.lease)
        self._end_clients(frozen.clients, frozen.passwords)
        if not lease.terms.local:
            self._look_for_strays_of(lease)
        if frozen.worker is not None and self._alone:
            self._processes.send(frozen.worker, signal.SIGKILL)
        elif frozen.worker is not None and self.resumes:
            self._idle.end_task(frozen.worker)
        elif frozen.worker is not None:
            self._processes.send(frozen.worker, signal.SIGCONT)
            self._end_later(frozen.worker)

    def _end_clients(self, clients: t.Iterable[ProcessId], passwords: t.Iterable[str]) -> None:
        for client in clients:
            self._processes.send(client, signal.SIGKILL)
        forget(passwords)

    def _passwords_of(self, clients: t.Iterable[ProcessId]) -> set[str]:
        return shared_passwords(self._processes.table, (client.pid for client in clients))

    def _look_for_strays_of(self, lease: Lease) -> None:
        """Search for clients without a worker, now or soon.

        If many leases end at once, there is one search for all of them. A search costs some 50 ms
        at 2,000 processes.
        """
        self._strays_of.append(lease)
        if len(self._strays_of) > 1:
            return
        self._pending += 1
        self._loop.after(max(0.0, self._next_look - self._loop.clock()), self._end_strays)

    def _end_strays(self) -> None:
        began = self._loop.clock()
        self._pending -= 1
        leases, self._strays_of = self._strays_of, []
        strays = self._processes.stray_clients(leases)
        self._end_clients(strays, self._passwords_of(strays))
        now = self._loop.clock()
        self._next_look = now + _REST_FACTOR * (now - began)

    def signal_idle(self, number: int, busy: t.Container[int]) -> None:
        """Forward the signal of an interruption to workers without a lease.

        Args:
            number: of the signal.
            busy: pids of the workers that are frozen, or whose kill order is not finished.
        """
        self._idle.forward(number, busy)

    def interrupt_idle(self, number: int, busy: t.Container[int]) -> None:
        """End the tasks of workers without a lease, and not the workers.

        Args:
            number: of the signal.
            busy: pids of the workers that are frozen, or whose kill order is not finished.
        """
        self._idle.end_tasks(number, busy)

    def lose_main(self) -> None:
        """Note that the main process is gone.

        A frozen worker has no reader for its result, so it is not resumed after its order.
        """
        self._alone = True

    def end_orphans(self, workers: t.Iterable[int]) -> None:
        """End the forks of a main process that is gone. They would run on without it.

        Those that are frozen for a kill order stay.
        """
        stopped = {frozen.worker for frozen in self._frozen.values()}
        holders = {*workers, *self._processes.workers(self._processes.table.pids())}
        found = [self._processes.identify(pid) for pid in holders]
        for orphan in found:
            if orphan is not None and orphan not in stopped:
                # The worker may not have reached its own clean-up. Core ends what a worker has
                # started here, too.
                below = self._processes.without_shared(self._processes.below(orphan))
                passwords = self._passwords_of(below)
                for process in below:
                    if group_of(process) == orphan.pid:
                        self._processes.send(process, signal.SIGTERM)
                self._processes.send(orphan, signal.SIGKILL)
                forget(passwords)

    def terminate(self, process: ProcessId) -> None:
        """Send SIGTERM, as the user of the process could."""
        self._processes.send(process, signal.SIGTERM)

    def _end_later(self, worker: ProcessId) -> None:
        def end() -> None:
            self._pending -= 1
            self._processes.send(worker, signal.SIGKILL)

        self._pending += 1
        self._loop.after(_LAST_OUTPUT_SECONDS, end)
