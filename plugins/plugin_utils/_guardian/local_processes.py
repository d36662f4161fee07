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
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.no_session import (
    Standing,
    without_session,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.endpoint import ENVIRONMENT
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.transfer import mark_of
from ansible_collections.treekill.remote.plugins.plugin_utils._system.askpass_files import (
    forget,
    shared_passwords,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import read_ready
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import LocalTable

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease
    from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop

#: Seconds between the end of a worker's client and that of the worker. A worker may be frozen while
#: it writes to the queue of the main process. It then holds a lock for which the main process
#: waits, so it must finish the write.
_LAST_OUTPUT_SECONDS = 0.5

#: Seconds after which a process has received a signal of the terminal, and has usually ended of it.
_TERMINAL_SIGNAL_SECONDS = 0.3
#: Maximum number of checks whether a worker has ended that should forward a signal. There are as
#: many seconds as above between two of them.
_MAX_LOOKS = 30

#: Ratio of the pause before the next scan of all processes to the duration of the last scan.
#: Couriers need the processor.
_REST_FACTOR = 4.0


@dataclasses.dataclass
class _Frozen:
    worker: ProcessId | None
    clients: list[ProcessId]


class LocalProcesses:
    """The local processes of leases, which it freezes, thaws and ends.

    It touches only processes of this user, and identifies each by pid and start time.
    """

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
        self._mark = f"{ENVIRONMENT}={socket_path}".encode()
        self._lifeline = lifeline
        self._main = main
        self._table = LocalTable()
        self._signaller = Signaller(self._table.process)
        self._frozen: dict[str, _Frozen] = {}
        #: The number of leases that each worker holds. Threads may send several commands, and the
        #: lease of a job stays open while the job is polled.
        self._leases_of: collections.Counter[ProcessId] = collections.Counter()
        self._pending = 0
        self._strays_of: list[Lease] = []
        self._next_look = 0.0
        self._alone = False

    @property
    def busy(self) -> bool:
        """Whether a timer is still set that ends something."""
        return self._pending > 0

    def freeze(self, leases: t.Iterable[Lease]) -> None:
        """Stop the workers that hold these leases, and their clients."""
        # The worker of a detached job has ended. Its pid may belong to another process by now.
        held = [lease for lease in leases if not lease.detached]
        trees = collections.defaultdict(list)
        for lease in held:
            if lease.terms.local:
                trees[lease.worker].append(lease)
        for lease in held:
            # The main process has all workers below it, and it ends the run itself.
            worker = self._identify(lease.worker) if lease.worker != self._main else None
            # Everything that a local connection has started is the tree itself, which the kill pass
            # freezes.
            clients = (
                []
                if lease.terms.local or worker is None
                else self._below(worker, trees[worker.pid])
            )
            for process in ([worker] if worker else []) + clients:
                self._send(process, signal.SIGSTOP)
            self._frozen[lease.lease] = _Frozen(worker, clients)
            if worker is not None:
                self._leases_of[worker] += 1

    def thaw(self, lease: str) -> None:
        """Resume the worker of a lease that was done after all."""
        frozen = self._take_out(lease)
        for process in [*frozen.clients, *([frozen.worker] if frozen.worker else [])]:
            self._send(process, signal.SIGCONT)

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
        return _Frozen(None, [])

    def not_begun(self, leases: t.Iterable[Lease], noted: t.Callable[[str], bool]) -> set[str]:
        """Return the ids of those frozen leases under which nothing can have begun on the host.

        `noted`: whether the worker has noted that something may have begun.
        """
        standing = {}
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
                    standing[lease.lease] = Standing(frozen.worker)
                elif lease.terms.client is not None:
                    standing[lease.lease] = Standing(
                        frozen.worker, tuple(frozen.clients), lease.terms.client
                    )
        # The worker may have written its note just before it stopped.
        return {lease for lease in without_session(standing, self._table) if not noted(lease)}

    def cut(self, lease: Lease) -> None:
        """End the clients of a frozen lease, and with them its channel."""
        frozen = self._frozen.get(lease.lease)
        if frozen is None or frozen.worker is None or self._leases_of[frozen.worker] > 1:
            return
        for client in frozen.clients:
            self._send(client, signal.SIGKILL)

    def end_clients_of(self, lease: Lease) -> None:
        """End the clients of a lease whose kill order has been tried."""
        frozen = self._take_out(lease.lease)
        self._end_clients(frozen.clients)
        if not lease.terms.local:
            self._look_for_strays_of(lease)
        if frozen.worker is not None and self._alone:
            self._send(frozen.worker, signal.SIGKILL)
        elif frozen.worker is not None:
            self._send(frozen.worker, signal.SIGCONT)
            self._end_later(frozen.worker)

    def _end_clients(self, clients: t.Sequence[ProcessId]) -> None:
        passwords = shared_passwords(self._table, (client.pid for client in clients))
        for client in clients:
            self._send(client, signal.SIGKILL)
        forget(passwords)

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
        self._end_clients(self._stray_clients(leases))
        now = self._loop.clock()
        self._next_look = now + _REST_FACTOR * (now - began)

    def signal_idle(self, number: int, busy: t.Container[int]) -> None:
        """Forward the signal of an interruption to workers without a lease.

        Processes that they have started here get it too, for example a lookup.

        From core 2.19.4 on, core does so itself: each worker leads a process group, and forwards
        the signal to it. Before that, a worker is in the group of the main process, which gets the
        signal from a terminal as a whole. A process that has had the signal does not get it twice,
        because a second one may end its clean-up.

        Args:
            number: of the signal.
            busy: pids of the workers that are frozen, or whose kill order is not finished.
        """
        idle = [
            process
            for process in map(self._identify, self._workers(self._table.children(self._main)))
            if process is not None and process.pid not in busy
        ]
        leaders = [worker for worker in idle if _group_of(worker) == worker.pid]
        passed = signal.SIGINT if number == signal.SIGINT else signal.SIGTERM
        for worker in leaders:
            members = self._group_below(worker)
            # A shell blocks all signals for moments. It still dies of this one, a moment later.
            deadly = [
                member for member in members if _would_have_died(member.pid, passed, blocking=True)
            ]
            self._send(worker, passed)
            if deadly:
                self._see_passed_on(worker, members, deadly, passed, _MAX_LOOKS)
        others = [worker for worker in idle if worker not in leaders]
        # INT makes workers unwind. They die of the other signals that interrupt a run.
        if others and (
            number == signal.SIGINT
            or any(_would_have_died(worker.pid, number) for worker in others)
        ):
            # The search is done now. Core may terminate the workers before the timer is due, and
            # then nothing leads to what they have started.
            members = [member for worker in others for member in self._group_below(worker)]
            self._pending += 1
            self._loop.after(
                _TERMINAL_SIGNAL_SECONDS, lambda: self._signal_with_main(others, members, passed)
            )

    def _signal_with_main(
        self, workers: t.Iterable[ProcessId], members: t.Iterable[ProcessId], number: signal.Signals
    ) -> None:
        """Send INT to the workers, whatever the signal was.

        It makes a worker unwind, which releases the queue to the main process on the way.
        """
        self._pending -= 1
        if number == signal.SIGINT and self._had_by_workers(number):
            return
        for process in members:
            self._send(process, number)
        for worker in workers:
            self._send(worker, signal.SIGINT)

    def _had_by_workers(self, number: signal.Signals) -> bool:
        """Whether a worker has had this signal, and so the whole group of the main process.

        Each worker writes its signals into its end of the lifeline.
        """
        if self._lifeline is None:
            return False
        os.set_blocking(self._lifeline, False)
        return number in (read_ready(self._lifeline) or b"")

    def _see_passed_on(
        self,
        worker: ProcessId,
        members: t.Sequence[ProcessId],
        deadly: t.Sequence[ProcessId],
        number: signal.Signals,
        looks: int,
    ) -> None:
        """Send the signal to the group of a worker that ended before it could forward it.

        Core's workers remove their own handler first. If core's clean-up terminates a worker at
        that moment, the worker ends without a signal to its group. The whole group gets the signal
        then, as it would have. A shell of which only the child is ended would continue with its
        next command.
        """

        def look() -> None:
            self._pending -= 1
            now = self._table.process(worker.pid)
            if now is not None and now.id == worker and now.alive:
                if looks > 1:
                    self._see_passed_on(worker, members, deadly, number, looks - 1)
                return
            left = [member for member in deadly if self._identify(member.pid) == member]
            if any(_would_have_died(member.pid, number) for member in left):
                # One process is enough to decide: others may have ended by themselves meanwhile.
                for member in members:
                    self._send(member, number)
            elif looks > 1 and any(
                _would_have_died(member.pid, number, blocking=True) for member in left
            ):
                self._see_passed_on(worker, members, left, number, looks - 1)

        self._pending += 1
        self._loop.after(_TERMINAL_SIGNAL_SECONDS, look)

    def _group_below(self, worker: ProcessId) -> list[ProcessId]:
        group = _group_of(worker)
        return [process for process in self._below(worker) if group and _group_of(process) == group]

    def lose_main(self) -> None:
        """Note that the main process is gone.

        A frozen worker has no reader for its result, so it is not resumed after its order.
        """
        self._alone = True

    def end_orphans(self, workers: t.Iterable[int]) -> None:
        """End the forks of a main process that is gone. They would run on without it.

        Those that are frozen for a kill order stay.
        """
        standing = {frozen.worker for frozen in self._frozen.values()}
        holders = {*workers, *self._workers(self._table.pids())}
        found = [self._identify(pid) for pid in holders]
        for orphan in found:
            if orphan is not None and orphan not in standing:
                # The worker may not have reached its own clean-up. Core ends what a worker has
                # started here, too.
                for process in self._group_below(orphan) if _group_of(orphan) == orphan.pid else ():
                    self._send(process, signal.SIGTERM)
                self._send(orphan, signal.SIGKILL)

    def terminate(self, process: ProcessId) -> None:
        """Send SIGTERM, as the user of the process could."""
        self._send(process, signal.SIGTERM)

    def _send(self, process: ProcessId, number: signal.Signals) -> None:
        try:
            self._signaller.send(process, number)
        except (ProcessLookupError, PermissionError):
            # It is gone, which was the purpose. Or it is a setuid client, which ends when its
            # worker's end of the pipe does.
            pass

    def _end_later(self, worker: ProcessId) -> None:
        def end() -> None:
            self._pending -= 1
            self._send(worker, signal.SIGKILL)

        self._pending += 1
        self._loop.after(_LAST_OUTPUT_SECONDS, end)

    def _identify(self, pid: int) -> ProcessId | None:
        process = self._table.process(pid) if pid > 1 else None
        return process.id if process else None

    def _below(self, worker: ProcessId, trees: t.Sequence[Lease] = ()) -> list[ProcessId]:
        """Return all that this worker has started, without the trees of these local leases."""
        cookie = _cookies_of(trees) if trees else None

        def leave_out(pid: int) -> bool:
            # A worker that started the guardian has it below itself. A frozen guardian would give
            # no order.
            return (
                pid == os.getpid()
                or cookie is not None
                and any(map(cookie.search, self._table.arguments(pid)))
            )

        pids = descendants([worker.pid], self._table.children, leave_out)
        return [process for process in map(self._identify, pids) if process is not None]

    def _stray_clients(self, leases: t.Sequence[Lease]) -> list[ProcessId]:
        """Return the clients of these leases that are in no child list: their worker is dead.

        A client has its lease's cookie in its command line, and the guardian's socket in its
        environment. What runs on the host, which may be this machine, has no such socket. Children
        of this guardian are its couriers. A process that moves a file has its lease in its
        environment.
        """
        marks = {mark_of(lease) for lease in leases}
        cookie = _cookies_of(leases)
        strays = []
        for pid, environment in self._table.environments(self._table.pids()):
            words = environment.split(b"\0") if environment else []
            if self._mark not in words:
                continue
            moves = not marks.isdisjoint(words) and not self._is_of_a_command(
                pid, leases[0].terms.run
            )
            if moves or any(map(cookie.search, self._table.arguments(pid))):
                process = self._identify(pid)
                if process is not None and pid != os.getpid():
                    strays.append(process)
        return strays

    def _is_of_a_command(self, pid: int, run: str) -> bool:
        """Whether a process belongs to a client with a cookie of the run.

        A client that another thread starts during a file transfer has the mark of the transfer too.
        """
        process = self._table.process(pid)
        above = [process, *ancestors(process, self._table.process)] if process is not None else []
        return any(
            f"TREEKILL={run}/".encode() in word
            for one in above
            for word in self._table.arguments(one.id.pid)
        )

    def _workers(self, pids: t.Iterable[int]) -> set[int]:
        """Return those of these processes that are workers of the run: they hold the lifeline."""
        if self._lifeline is None:
            return set()
        pipe = f"pipe:[{os.fstat(self._lifeline).st_ino}]"
        # A courier that was just forked still holds all descriptors of its parent.
        ours = {os.getpid(), self._main, *self._table.children(os.getpid())}
        return {pid for pid in pids if pid not in ours and _writes_to(pid, pipe)}


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


def _group_of(process: ProcessId) -> int:
    """Return the process group of a process; 0 if it is gone."""
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return 0


def _would_have_died(pid: int, number: int, blocking: bool = False) -> bool:
    """Whether a process is alive that would have died of the signal.

    Such a process neither handles nor ignores the signal. See proc_pid_status(5).

    `blocking`: include a process that blocks the signal, and has none pending.
    """
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as lines:
            words = dict(line.rstrip("\n").split(":\t", 1) for line in lines if ":\t" in line)
    except OSError:
        return False
    masks = [
        int(words.get(name, "0"), 16)
        for name in ("ShdPnd", "SigPnd", "SigIgn", "SigCgt", *(() if blocking else ("SigBlk",)))
    ]
    return words.get("State", "Z")[0] not in "ZX" and not any(
        mask >> number - 1 & 1 for mask in masks
    )


def _access_mode(pid: int, descriptor: str) -> int:
    with open(f"/proc/{pid}/fdinfo/{descriptor}", encoding="ascii") as lines:
        flags = next((line.split()[1] for line in lines if line.startswith("flags:")), "0")
    return int(flags, 8) & os.O_ACCMODE
