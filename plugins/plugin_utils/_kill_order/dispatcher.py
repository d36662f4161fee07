# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kill orders that are being carried out, each by a courier.

While a host can't be reached, the order is tried again, with growing pauses.
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import merge
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    LeaseResult,
    Outcome,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.courier import Courier
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
_TURN_PAUSE_SECONDS = 0.001


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
        self, leases: LeaseTable, loop: Loop, on_change: t.Callable[[Lease], None]
    ) -> None:
        """`on_change` is called with the lease when a try has ended, closed or not."""
        self._leases = leases
        self._loop = loop
        self._on_change = on_change
        self._pending: dict[str, _PendingOrder] = {}
        self._queue: list[_PendingOrder] = []
        #: Orders that were started in this turn of the loop.
        self._started = 0

    def give_order(self, lease: Lease) -> None:
        """Give the kill order for a lease that has just broken."""
        pending = _PendingOrder(lease, give_up_at=self._loop.clock() + lease.terms.retry_for)
        self._pending[lease.lease] = pending
        self._started += 1
        if self._started <= _MAX_FORKS:
            self._try(pending)
        else:
            self._queue.append(pending)
        if self._started == 1:
            self._loop.after(_TURN_PAUSE_SECONDS, self._next_turn)

    def _next_turn(self) -> None:
        """Start the next of many orders. Between two turns the loop answers requests."""
        now, self._queue = self._queue[:_MAX_FORKS], self._queue[_MAX_FORKS:]
        self._started = len(now)
        for pending in now:
            self._try(pending, pending.at_once)
        if now:
            # A later turn: the loop calls all timers that are due before it answers a request.
            self._loop.after(_TURN_PAUSE_SECONDS, self._next_turn)

    def skip_grace(self) -> None:
        """Skip the grace period: send a second courier to each host that is still in it."""
        for pending in list(self._pending.values()):
            pending.at_once = True
            if pending.couriers:
                self._try(pending, at_once=True)

    @property
    def in_hand(self) -> int:
        """Orders whose first try has not ended.

        Nothing waits for later tries. They may last as long as kill_retry_for allows.
        """
        return sum(1 for pending in self._pending.values() if not pending.tries)

    def in_hand_for(self, lease: str) -> bool:
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
            pending.couriers.append(Courier(pending.lease, self._loop, self._ended, at_once))
        except OSError as error:
            # There is no descriptor or memory for another process. Later there may be, when other
            # couriers have ended.
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
        pending.results.append(_later(result, courier.began - pending.began))
        if not pending.couriers:
            self._over(pending)

    def _over(self, pending: _PendingOrder) -> None:
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
