# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Workers without a lease: they get the signal of an interruption, and nothing freezes them."""

from __future__ import annotations

import signal
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.run_processes import (
    RunProcesses,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import TASK_SIGNAL
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import group_of

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
    from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop

#: Seconds after which a process has received a signal of the terminal, and has usually ended of it.
_TERMINAL_SIGNAL_SECONDS = 0.3
#: Seconds after which a worker usually has ended its task and itself. It writes its result into the
#: queue of the main process meanwhile.
_TASK_SECONDS = 0.5
#: Maximum number of checks whether a worker has ended that should forward a signal. There are as
#: many seconds as above between two of them.
_MAX_LOOKS = 30
#: Seconds between two looks whether what workers had started here is gone.
_END_SECONDS = 0.1
#: Maximum number of these looks. Together they take as long as those above.
_MAX_END_LOOKS = 150


class IdleWorkers:
    """The workers without a lease, and what they have started on this machine."""

    def __init__(self, loop: Loop, processes: RunProcesses) -> None:
        self._loop = loop
        self._processes = processes
        self._pending = 0
        #: Whether only the tasks of workers are ended. The workers return results, and the run goes
        #: on with its `always` sections.
        self.ends_tasks = False
        #: What workers had started here and has got the signal, with its worker, until it is gone.
        self.alive: dict[ProcessId, ProcessId] = {}
        #: Whether the end of these processes is still awaited.
        self.awaits_ends = False
        #: Called when it is no longer.
        self.on_ends: t.Callable[[], None] = lambda: None

    @property
    def busy(self) -> bool:
        """Whether a timer is still set that signals something."""
        return self._pending > 0

    def forward(self, number: int, busy: t.Container[int]) -> None:
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
        idle = self._without_lease(busy)
        leaders = [worker for worker in idle if group_of(worker) == worker.pid]
        passed = signal.SIGINT if number == signal.SIGINT else signal.SIGTERM
        for worker in leaders:
            members = self._processes.group_below(worker)
            # A shell blocks all signals for moments. It still dies of this one, a moment later.
            deadly = [
                member for member in members if _would_have_died(member.pid, passed, blocking=True)
            ]
            self._processes.send(worker, passed)
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
            members = [
                member for worker in others for member in self._processes.group_below(worker)
            ]
            self._pending += 1
            self._loop.after(
                _TERMINAL_SIGNAL_SECONDS, lambda: self._signal_with_main(others, members, passed)
            )

    def _without_lease(self, busy: t.Container[int]) -> list[ProcessId]:
        return [
            process
            for process in map(
                self._processes.identify,
                self._processes.workers(self._processes.table.children(self._processes.main)),
            )
            if process is not None and process.pid not in busy
        ]

    def end_tasks(self, number: int, busy: t.Container[int]) -> None:
        """End the tasks of the workers without a lease. The workers return results.

        Processes that they have started here get the signal as in `forward`.
        """
        idle = self._without_lease(busy)
        passed = signal.SIGINT if number == signal.SIGINT else signal.SIGTERM
        members = [
            (worker, member)
            for worker in idle
            for member in self._processes.group_below(worker)
            if member != worker
        ]
        for worker in idle:
            self.end_task(worker)
        self.alive = {member: worker for worker, member in members}
        self._await_ends(_MAX_END_LOOKS)
        for worker, member in members:
            if group_of(worker) == worker.pid:
                self._processes.send(member, passed)
        others = [member for worker, member in members if group_of(worker) != worker.pid]
        if others:
            # The terminal may send it to the whole group itself.
            self._pending += 1
            self._loop.after(
                _TERMINAL_SIGNAL_SECONDS, lambda: self._signal_with_main([], others, passed)
            )

    def _await_ends(self, looks: int) -> None:
        """Look whether what got the signal is gone. The `always` sections wait for that."""
        self.alive = {
            member: worker for member, worker in self.alive.items() if self._is_alive(member)
        }
        self.awaits_ends = bool(self.alive) and looks > 0 and self.ends_tasks
        if not self.awaits_ends:
            return

        def look() -> None:
            self._pending -= 1
            self._await_ends(looks - 1)
            if not self.awaits_ends:
                self.on_ends()

        self._pending += 1
        self._loop.after(_END_SECONDS, look)

    def _is_alive(self, process: ProcessId) -> bool:
        now = self._processes.table.process(process.pid)
        return now is not None and now.id == process and now.alive

    def end_task(self, worker: ProcessId, looks: int = _MAX_LOOKS) -> None:
        """Tell a worker to end its task, again and again until the worker has ended.

        The last time it is killed. A worker that does not know the signal ignores it.
        """
        self._processes.send(worker, TASK_SIGNAL)
        self._processes.send(worker, signal.SIGCONT)

        def look() -> None:
            self._pending -= 1
            if not self._is_alive(worker):
                return
            if looks > 1 and self.ends_tasks:
                self.end_task(worker, looks - 1)
            else:
                self._processes.send(worker, signal.SIGKILL)

        self._pending += 1
        self._loop.after(_TASK_SECONDS, look)

    def _signal_with_main(
        self, workers: t.Iterable[ProcessId], members: t.Iterable[ProcessId], number: signal.Signals
    ) -> None:
        """Send INT to the workers, whatever the signal was.

        It makes a worker unwind, which releases the queue to the main process on the way.
        """
        self._pending -= 1
        if number == signal.SIGINT and self._processes.had_by_workers(number):
            return
        for process in members:
            self._processes.send(process, number)
        for worker in workers:
            self._processes.send(worker, signal.SIGINT)

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
            now = self._processes.table.process(worker.pid)
            if now is not None and now.id == worker and now.alive:
                if looks > 1:
                    self._see_passed_on(worker, members, deadly, number, looks - 1)
                return
            left = [member for member in deadly if self._processes.identify(member.pid) == member]
            if any(_would_have_died(member.pid, number) for member in left):
                # One process is enough to decide: others may have ended by themselves meanwhile.
                for member in members:
                    self._processes.send(member, number)
            elif looks > 1 and any(
                _would_have_died(member.pid, number, blocking=True) for member in left
            ):
                self._see_passed_on(worker, members, left, number, looks - 1)

        self._pending += 1
        self._loop.after(_TERMINAL_SIGNAL_SECONDS, look)


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
