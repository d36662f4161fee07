# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The local side of an interruption: workers and the clients that they have started, frozen first and ended last.

Frozen, not killed: the moment an ssh client with a pty dies, the host hangs up half the tree, and orphans that cleared their
environment can no longer be found.
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

#: Seconds between the end of a worker's client and its own. A worker that was frozen while it wrote
#: to the queue of the main process holds a lock that the main process waits for: it must be let go
#: on to finish that.
_LAST_OUTPUT_SECONDS = 0.5

#: Seconds after which a process that the terminal has interrupted has had its signal, and has
#: usually ended of it.
_FROM_TERMINAL_SECONDS = 0.3
#: How often it is looked, after so many seconds each time, whether a worker has ended that was to
#: pass a signal on.
_MAX_LOOKS = 30

#: How much longer than the last look at all processes the pause before the next one is. The
#: couriers need the processor.
_REST_FACTOR = 4.0


@dataclasses.dataclass
class _Frozen:
    worker: ProcessId | None
    clients: list[ProcessId]


class LocalProcesses:
    """Freezes, thaws and ends the local processes of leases. Only those of this user; each by pid and start time."""

    def __init__(self, loop: Loop, socket_path: str, lifeline: int | None, main: int = 0) -> None:
        """Nothing is looked at or touched yet.

        Args:
            loop: for what is due later.
            socket_path: of the guardian; clients carry it in their environment.
            lifeline: the read end of a pipe whose write end only the main process and its workers hold; None where there is none.
            main: pid of the main process.
        """
        self._loop = loop
        self._mark = f"{ENVIRONMENT}={socket_path}".encode()
        self._lifeline = lifeline
        self._main = main
        self._table = LocalTable()
        self._signaller = Signaller(self._table.process)
        self._frozen: dict[str, _Frozen] = {}
        self._leases_of: collections.Counter[ProcessId] = collections.Counter()
        """How many of them each worker holds. Its threads may have several commands under way, and a job stays open while it is polled."""
        self._pending = 0
        self._strays_of: list[Lease] = []
        self._next_look = 0.0
        self._alone = False

    @property
    def busy(self) -> bool:
        """Whether an end that was promised is still due."""
        return self._pending > 0

    def freeze(self, leases: t.Iterable[Lease]) -> None:
        """Stop the workers that hold these leases, and their clients."""
        # The worker of a job that was detached has ended: that pid may be a stranger's by now.
        held = [lease for lease in leases if not lease.detached]
        trees = collections.defaultdict(list)
        for lease in held:
            if lease.terms.local:
                trees[lease.worker].append(lease)
        for lease in held:
            # Below the main process are all workers, and it is the one that ends the run.
            worker = self._identify(lease.worker) if lease.worker != self._main else None
            # What a local connection has started is the tree itself: the kill pass freezes that.
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
        """The lease was done after all: let its worker go on."""
        frozen = self._take_out(lease)
        for process in [*frozen.clients, *([frozen.worker] if frozen.worker else [])]:
            self._send(process, signal.SIGCONT)

    def _take_out(self, lease: str) -> _Frozen:
        """What stands still for this lease alone. A worker that holds another one is left to that, with all that it has started: nobody knows for which."""
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
        """Ids of those of these frozen leases of which nothing can have begun on the host. `noted`: whether the worker has said that it may have."""
        standing = {}
        leases = [*leases]
        holders = collections.Counter(lease.worker for lease in leases)
        for lease in leases:
            # The lease of a job stays open while its worker polls the job, by a client that is not the job's.
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
        # It may have noted something until it stood still.
        return {lease for lease in without_session(standing, self._table) if not noted(lease)}

    def cut(self, lease: Lease) -> None:
        """End the clients of a frozen lease, and with them its channel."""
        frozen = self._frozen.get(lease.lease)
        if frozen is None or frozen.worker is None or self._leases_of[frozen.worker] > 1:
            return
        for client in frozen.clients:
            self._send(client, signal.SIGKILL)

    def end_clients_of(self, lease: Lease) -> None:
        """The kill order of this lease has been tried: its clients are not needed any more."""
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
        """Now; or where many leases end at once, soon, in one look for all of them. A look costs some 50 ms at 2,000 processes."""
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
        """Pass the signal of an interruption on to the workers without a lease, and to what they have started here: a lookup, for example.

        As core does it from 2.19.4 on, where each worker leads a process group and passes the signal on to that. Before, a worker is in the group of the
        main process, which gets the signal as a whole from a terminal: what has had it does not get it twice, as it may take that for the order to
        leave its clean-up.

        Args:
            number: of the signal.
            busy: pids of the workers that stand still, or whose kill order is under way.
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
            # A shell blocks all signals for moments. It dies none the less, a moment later.
            deadly = [
                member for member in members if _would_have_died(member.pid, passed, blocking=True)
            ]
            self._send(worker, passed)
            if deadly:
                self._see_passed_on(worker, members, deadly, passed, _MAX_LOOKS)
        others = [worker for worker in idle if worker not in leaders]
        # Of INT they unwind. Of what else interrupts a run they die.
        if others and (
            number == signal.SIGINT
            or any(_would_have_died(worker.pid, number) for worker in others)
        ):
            # Looked for now: core may terminate the workers before the time is over, and then nothing leads to what they have started.
            members = [member for worker in others for member in self._group_below(worker)]
            self._pending += 1
            self._loop.after(
                _FROM_TERMINAL_SECONDS, lambda: self._signal_with_main(others, members, passed)
            )

    def _signal_with_main(
        self, workers: t.Iterable[ProcessId], members: t.Iterable[ProcessId], number: signal.Signals
    ) -> None:
        """INT to the workers, whatever the signal was: it unwinds a worker, which lets go of the queue to the main process on the way."""
        self._pending -= 1
        if number == signal.SIGINT and self._had_by_workers(number):
            return
        for process in members:
            self._send(process, number)
        for worker in workers:
            self._send(worker, signal.SIGINT)

    def _had_by_workers(self, number: signal.Signals) -> bool:
        """Whether one of them has had this signal: then the whole group of the main process has. Each writes it into its end of the lifeline."""
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
        """Send the signal to the group of a worker that has ended before it came to that.

        Core's workers take their own handler away first. If core terminates them at that moment, which it does when it
        cleans up, they are gone without a word to their group. All of the group get it then, as they would have: a shell
        whose child alone is ended goes on with its next command.
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
                # One is enough: others may have come to their own end meanwhile.
                for member in members:
                    self._send(member, number)
            elif looks > 1 and any(
                _would_have_died(member.pid, number, blocking=True) for member in left
            ):
                self._see_passed_on(worker, members, left, number, looks - 1)

        self._pending += 1
        self._loop.after(_FROM_TERMINAL_SECONDS, look)

    def _group_below(self, worker: ProcessId) -> list[ProcessId]:
        group = _group_of(worker)
        return [process for process in self._below(worker) if group and _group_of(process) == group]

    def lose_main(self) -> None:
        """The main process is gone: a worker that stands still has nobody to tell anything, and is not let go on when its order was tried."""
        self._alone = True

    def end_orphans(self, workers: t.Iterable[int]) -> None:
        """The main process is gone: end its forks, which go on without it, but for those that stand still for a kill order."""
        standing = {frozen.worker for frozen in self._frozen.values()}
        holders = {*workers, *self._workers(self._table.pids())}
        found = [self._identify(pid) for pid in holders]
        for orphan in found:
            if orphan is not None and orphan not in standing:
                # It may not have come to it itself: what it has started here ends with it, as core has it.
                for process in self._group_below(orphan) if _group_of(orphan) == orphan.pid else ():
                    self._send(process, signal.SIGTERM)
                self._send(orphan, signal.SIGKILL)

    def terminate(self, process: ProcessId) -> None:
        """SIGTERM, as if its user had sent it."""
        self._send(process, signal.SIGTERM)

    def _send(self, process: ProcessId, number: signal.Signals) -> None:
        try:
            self._signaller.send(process, number)
        except (ProcessLookupError, PermissionError):
            pass  # gone, which is where all of this leads; or a setuid client, which ends with its worker's end of the pipe

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
        """What this worker has started, but for the trees of these local leases."""
        cookie = _cookies_of(trees) if trees else None

        def leave_out(pid: int) -> bool:
            # Where a worker has started the guardian, that is below it too: whoever freezes itself gives no order.
            return (
                pid == os.getpid()
                or cookie is not None
                and any(map(cookie.search, self._table.arguments(pid)))
            )

        pids = descendants([worker.pid], self._table.children, leave_out)
        return [process for process in map(self._identify, pids) if process is not None]

    def _stray_clients(self, leases: t.Sequence[Lease]) -> list[ProcessId]:
        """Clients of these leases whose worker is dead, and which nobody's child list leads to.

        A client has its lease's cookie in its command line, and unlike anything that runs on the host, which may be this very
        machine, it has the guardian's socket in its environment. Children of this guardian are its couriers. What moves a file names its lease in
        its environment.
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
        """Whether it belongs to a client with a cookie of the run. One that another thread starts while a file is moved has the mark of that, too."""
        process = self._table.process(pid)
        above = [process, *ancestors(process, self._table.process)] if process is not None else []
        return any(
            f"TREEKILL={run}/".encode() in word
            for one in above
            for word in self._table.arguments(one.id.pid)
        )

    def _workers(self, pids: t.Iterable[int]) -> set[int]:
        """Those of these processes that are workers of the run: they hold the lifeline."""
        if self._lifeline is None:
            return set()
        pipe = f"pipe:[{os.fstat(self._lifeline).st_ino}]"
        # A courier that was forked a moment ago still holds what its parent holds.
        ours = {os.getpid(), self._main, *self._table.children(os.getpid())}
        return {pid for pid in pids if pid not in ours and _writes_to(pid, pipe)}


def _cookies_of(leases: t.Iterable[Lease]) -> re.Pattern[bytes]:
    return re.compile(
        b"|".join(
            re.escape(f"TREEKILL={lease.terms.run}/{lease.lease}/".encode()) for lease in leases
        )
    )


def _writes_to(pid: int, pipe: str) -> bool:
    """Whether a process has the write end of this pipe open. Guardians hold the read end: there are two when a worker could not find the first."""
    folder = f"/proc/{pid}/fd"
    try:
        ends = [name for name in os.listdir(folder) if os.readlink(f"{folder}/{name}") == pipe]
        return any(_access_mode(pid, name) == os.O_WRONLY for name in ends)
    except OSError:
        return False  # gone, or another user's: no fork of ours


def _group_of(process: ProcessId) -> int:
    """Its process group; 0 when it is gone."""
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return 0


def _would_have_died(pid: int, number: int, blocking: bool = False) -> bool:
    """Whether a process is alive that would not be, had it got the signal: it has done nothing about it. See proc_pid_status(5).

    `blocking`: take also one that blocks the signal, and has none pending.
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
