# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at hosts that have not answered their kill order yet: a transaction may be finishing there.

A kill pass answers once, at its end. So another courier looks, and touches nothing.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    FinishingTransaction,
    LeaseResult,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.courier import Courier
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.kill_order import PassMode
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop, Timer

#: Seconds until the first look at a host. Most hosts have answered by then.
_FIRST_LOOK_SECONDS = 1.0

#: Seconds between two looks at one host.
_LOOK_SECONDS = 4.0

#: Seconds between two turns in which looks are begun.
_LEAST_PAUSE_SECONDS = 0.2

#: Couriers that look at the same time. Kill orders come first.
_MAX_LOOKS = 4

#: Seconds for which a transaction counts as running after it was seen: two looks, and the time of
#: a look.
_SEEN_SECONDS = 30.0


@dataclasses.dataclass
class _Watched:
    """A host that has not answered."""

    lease: Lease
    since: float
    look_at: float
    courier: Courier | None = None
    program: str = ""
    seen_at: float = 0.0


class Lookout:
    """Sender of couriers that look."""

    def __init__(self, loop: Loop, on_change: t.Callable[[], None]) -> None:
        """`on_change` is called when a look has ended that saw a transaction, or none any more."""
        self._loop = loop
        self._on_change = on_change
        self._watched: dict[str, _Watched] = {}
        self._timer: Timer | None = None

    def watch(self, lease: Lease) -> None:
        """Look at the host of a lease for as long as its order is out."""
        if lease.terms.finish_timeout > 0 and lease.lease not in self._watched:
            now = self._loop.clock()
            self._watched[lease.lease] = _Watched(lease, now, now + _FIRST_LOOK_SECONDS)
            self._plan()

    def forget(self, lease: str) -> None:
        """Look no more: the order is not out any more."""
        watched = self._watched.pop(lease, None)
        if watched is not None and watched.courier is not None:
            watched.courier.abandon()
        self._plan()

    def is_finishing(self, lease: str) -> bool:
        """Whether a transaction was seen there a moment ago, and its time is not over."""
        watched = self._watched.get(lease)
        now = self._loop.clock()
        return (
            watched is not None
            and bool(watched.program)
            and now - watched.seen_at < _SEEN_SECONDS
            and now - watched.since
            < watched.lease.terms.finish_timeout + 2 * watched.lease.terms.timeout + _SEEN_SECONDS
        )

    def finishing(self) -> tuple[FinishingTransaction, ...]:
        """Return the transactions that were seen, by host."""
        now = self._loop.clock()
        seen = {
            (one.lease.host, one.program): now - one.since
            for one in self._watched.values()
            if self.is_finishing(one.lease.lease)
        }
        return tuple(
            FinishingTransaction(*where, round(seconds, 1))
            for where, seconds in sorted(seen.items())
        )

    def _plan(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        waiting = [one.look_at for one in self._watched.values() if one.courier is None]
        self._timer = (
            self._loop.after(
                max(min(waiting) - self._loop.clock(), _LEAST_PAUSE_SECONDS), self._look
            )
            if waiting
            else None
        )

    def _look(self) -> None:
        now = self._loop.clock()
        free = _MAX_LOOKS - sum(one.courier is not None for one in self._watched.values())
        due = [one for one in self._watched.values() if one.courier is None and one.look_at <= now]
        for one in sorted(due, key=lambda one: one.look_at)[: max(free, 0)]:
            try:
                one.courier = Courier(one.lease, self._loop, self._seen, PassMode.LOOK)
            except OSError:
                pass  # there is no process for it now; the next look may get one
            one.look_at = now + _LOOK_SECONDS
        self._plan()

    def _seen(self, courier: Courier, result: LeaseResult) -> None:
        watched = self._watched.get(courier.lease.lease)
        if watched is None:
            return
        watched.courier = None
        self._plan()
        before = watched.program
        if result.report is not None:
            rows = result.report.finishing
            # Without arguments: the line is written to terminals, and to logs of CI.
            watched.program = rows[0].program if rows else ""
            watched.seen_at = self._loop.clock()
        if before or watched.program:
            self._on_change()
