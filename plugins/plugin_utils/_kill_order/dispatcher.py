# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kill orders that are being carried out, each by a courier.

While a host can't be reached, the order is tried again, with growing pauses.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import merge
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    FinishingTransaction,
    LeaseResult,
    Outcome,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.courier import Courier
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.kill_order import (
    PassMode,
    load_ahead,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.lookout import Lookout
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease, LeaseTable
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop, Timer

#: Seconds between tries. A rebooted host is back within seconds. A host that is down for longer
#: gets few tries.
_FIRST_PAUSE_SECONDS = 1.0
_MAX_PAUSE_SECONDS = 15.0

#: Couriers that are forked in one turn of the loop. A hundred take a second, and longer on a busy
#: machine. The loop answers no request meanwhile.
_MAX_FORKS = 8

#: Seconds between two such turns.
_FORK_PAUSE_SECONDS = 0.001

#: Couriers at the same time that are young. A courier uses some 30 ms of a processor, mostly at its
#: beginning. After that it waits for its host, and holds up no other courier.
_MAX_YOUNG = 64
_YOUNG_SECONDS = 1.0

#: Seconds until the next turn, if there are too many young couriers, or no room for another one.
_ROOM_PAUSE_SECONDS = 0.05


@dataclasses.dataclass
class _PendingOrder:
    """One broken lease that is not closed yet."""

    lease: Lease
    give_up_at: float
    pause: float = _FIRST_PAUSE_SECONDS
    couriers: list[Courier] = dataclasses.field(default_factory=list)
    results: list[LeaseResult] = dataclasses.field(default_factory=list)
    #: The timer of the next try, while the host can't be reached.
    waiting: Timer | None = None
    #: The time at which the first courier of this try was sent.
    began: float = 0.0
    #: Whether its first try, which has not begun, has no grace period.
    at_once: bool = False
    last_reason: str = ""
    tries: int = 0


class Dispatcher:
    """Sender of couriers for broken leases. It closes a lease in the table with the result."""

    def __init__(
        self,
        leases: LeaseTable,
        loop: Loop,
        on_change: t.Callable[[Lease], None],
        on_look: t.Callable[[], None] = lambda: None,
    ) -> None:
        """Give no order yet.

        `on_change` is called with the lease when a try has ended, closed or not. `on_look` is
        called when a transaction was seen, or has ended.
        """
        self._leases = leases
        self._loop = loop
        self._on_change = on_change
        self._lookout = Lookout(loop, on_look)
        self._pending: dict[str, _PendingOrder] = {}
        #: Orders that need a courier.
        self._queue: collections.deque[_PendingOrder] = collections.deque()
        #: Couriers that were started in this turn of the loop.
        self._started = 0
        self._turn: Timer | None = None
        self._running: set[Courier] = set()
        self._untried = 0

    def prepare(self, leases: t.Sequence[Lease]) -> None:
        """Load what the couriers of these leases need, if there are several.

        A single courier loads it as fast by itself.
        """
        if len(leases) > 1:
            load_ahead((lease.order, lease.reach) for lease in leases[:_MAX_FORKS])

    def give_order(self, lease: Lease) -> None:
        """Give the kill order for a lease that has just broken."""
        pending = _PendingOrder(lease, give_up_at=self._loop.clock() + lease.terms.retry_for)
        self._pending[lease.lease] = pending
        self._untried += 1
        self._send_soon(pending)

    def _send_soon(self, pending: _PendingOrder) -> None:
        self._queue.append(pending)
        self._plan_turn(_FORK_PAUSE_SECONDS)
        self._send_next()

    def _plan_turn(self, seconds: float) -> None:
        if self._turn is None:
            self._turn = self._loop.after(seconds, self._next_turn)

    def _next_turn(self) -> None:
        """Start the next of many orders. Between two turns the loop answers requests."""
        self._turn, self._started = None, 0
        self._send_next()
        if self._queue:
            # A later turn: the loop calls all timers that are due before it answers a request.
            self._plan_turn(_FORK_PAUSE_SECONDS if self._started else _ROOM_PAUSE_SECONDS)

    def _send_next(self) -> None:
        while self._queue and self._started < _MAX_FORKS and self._has_room:
            pending = self._queue.popleft()
            # Its couriers may have ended meanwhile, and it with them.
            if self._pending.get(pending.lease.lease) is pending and not pending.waiting:
                self._started += 1
                self._try(pending, pending.at_once)
            if self._queue and self._queue[0] is pending:
                return  # there was no room for it

    @property
    def _has_room(self) -> bool:
        """Whether there are few couriers that use the processor. A turn may go beyond that."""
        if len(self._running) < _MAX_YOUNG:
            return True
        young = self._loop.clock() - _YOUNG_SECONDS
        return sum(courier.began > young for courier in self._running) < _MAX_YOUNG

    def skip_grace(self) -> None:
        """Skip the grace period: send a second courier to each host that is still in it."""
        for pending in list(self._pending.values()):
            pending.at_once = True
            if pending.couriers:
                self._send_soon(pending)

    @property
    def finishing(self) -> tuple[FinishingTransaction, ...]:
        """Transactions that were seen on hosts that have not answered yet."""
        return self._lookout.finishing()

    @property
    def untried(self) -> int:
        """Orders whose first try has not ended.

        Nothing waits for later tries. They may last as long as kill_retry_for allows.
        """
        return self._untried

    def is_untried(self, lease: str) -> bool:
        """Whether the first try of an order for this lease has not ended."""
        pending = self._pending.get(lease)
        return pending is not None and not pending.tries

    @property
    def waiting(self) -> dict[str, str]:
        """Lease id to the reason of the last try, if the first one has not reached the host."""
        return {
            name: pending.last_reason for name, pending in self._pending.items() if pending.tries
        }

    def _try(self, pending: _PendingOrder, at_once: bool = False) -> None:
        pending.waiting = None
        if not pending.couriers:
            pending.began = self._loop.clock()
        try:
            courier = Courier(
                pending.lease,
                self._loop,
                self._ended,
                PassMode.AT_ONCE if at_once else PassMode.END,
                lambda: self._lookout.is_finishing(pending.lease.lease),
                pending.began,
            )
            pending.couriers.append(courier)
            self._running.add(courier)
            self._lookout.watch(pending.lease)
        except OSError as error:
            # There is no descriptor or memory for another process. Later there may be, when other
            # couriers have ended.
            if self._running:
                self._queue.appendleft(pending)
                self._plan_turn(_ROOM_PAUSE_SECONDS)
                return
            pending.results.append(
                LeaseResult(
                    Outcome.UNREACHABLE, f"no courier could be started: {error.strerror or error}"
                )
            )
            if not pending.couriers:
                self._loop.after(0.0, lambda: self._over(pending))

    def _ended(self, courier: Courier, result: LeaseResult) -> None:
        pending = self._pending[courier.lease.lease]
        pending.couriers.remove(courier)
        self._running.discard(courier)
        pending.results.append(_later(result, courier.began - pending.began))
        if result.report is not None and result.report.finishing:
            # It got no grace period, and has left a transaction. The others would wait for that.
            while pending.couriers:
                other = pending.couriers.pop()
                self._running.discard(other)
                other.abandon()
        if not pending.couriers:
            self._over(pending)

    def _over(self, pending: _PendingOrder) -> None:
        self._lookout.forget(pending.lease.lease)
        if not pending.tries:
            self._untried -= 1
        pending.tries += 1
        self._conclude(pending)
        self._on_change(pending.lease)

    def _conclude(self, pending: _PendingOrder) -> None:
        result = combine(pending.results)
        pending.results = []
        if (
            result.outcome is Outcome.UNREACHABLE
            and self._loop.clock() + pending.pause <= pending.give_up_at
        ):
            pending.last_reason = result.reason
            pending.waiting = self._loop.after(pending.pause, lambda: self._try(pending))
            pending.pause = min(pending.pause * 2, _MAX_PAUSE_SECONDS)
            return
        del self._pending[pending.lease.lease]
        self._leases.close(pending.lease.lease, result)


def _later(result: LeaseResult, seconds: float) -> LeaseResult:
    """Return the result of a later courier, with times since the first courier was sent.

    Each pass has a clock of its own. `seconds`: how much later the courier was sent.
    """
    report = result.report
    if report is None or seconds <= 0:
        return result
    gone = tuple(
        dataclasses.replace(row, seconds=None if row.seconds is None else row.seconds + seconds)
        for row in report.gone
    )
    return dataclasses.replace(
        result, report=dataclasses.replace(report, gone=gone, seconds=report.seconds + seconds)
    )


def combine(results: t.Sequence[LeaseResult]) -> LeaseResult:
    """Return one result made of the results of couriers that were sent to one tree together.

    The courier with a grace period knows the whole tree. The one without knows which processes had
    to be killed.
    """
    reports = [result.report for result in results if result.report is not None]
    if not reports:
        return results[-1]
    return LeaseResult(Outcome.CONFIRMED, report=functools.reduce(merge, reports))
