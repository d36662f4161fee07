# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The leases of a run: which are open, which are broken, and how each of those ended. Pure: no socket, no clock.

A lease that was granted ends exactly once: it is done, or it is broken and then closed with what became of its kill order.
"""

from __future__ import annotations

import dataclasses

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import LeaseTerms
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import LeaseResult


@dataclasses.dataclass
class Lease:
    """One promise: come back or be killed."""

    lease: str
    #: Which connection to the guardian took it.
    holder: int
    host: str
    task: str
    terms: LeaseTerms
    #: `KillOrderTerms` as JSON text, with secrets in it. Only the courier opens it.
    order: str
    #: `ConnectionSpec` as JSON text, likewise.
    reach: str = ""
    #: The pid of the worker that holds it.
    worker: int = 0
    #: The task has ended, the job goes on by itself: async with poll 0.
    detached: bool = False
    #: Whether its holder can have read that it is granted. Before that, nothing goes out under it.
    answered: bool = True


class LeaseTableError(Exception):
    """A message that makes no sense for the lease it names. The text says which and why."""


class LeaseTable:
    """Grants, ends and closes leases; after `close_gate` it grants none."""

    def __init__(self) -> None:
        self._open: dict[str, Lease] = {}
        self._broken: dict[str, Lease] = {}
        self._closed: list[tuple[Lease, LeaseResult]] = []
        self._reaches: dict[str, str] = {}
        """One copy of each text for the detached leases of a host: these last until the run ends, and may be thousands."""
        self.gate_open = True

    def grant(self, lease: Lease) -> bool:
        """Whether the lease is granted. Raises LeaseTableError when its id was granted before."""
        if lease.lease in self._open or lease.lease in self._broken:
            raise LeaseTableError(f"lease {lease.lease} is granted already")
        if self.gate_open:
            self._open[lease.lease] = lease
        return self.gate_open

    def done(self, lease: str, holder: int) -> bool:
        """The command has returned. False when the lease was broken before: its kill order goes on, and does no harm."""
        if self._of(lease, holder) is None:
            return False
        del self._open[lease]
        return True

    def knows(self, lease: str) -> bool:
        """Whether it was granted here, and is not done."""
        return (
            lease in self._open
            or lease in self._broken
            or any(lease == one.lease for one, dummy in self._closed)
        )

    def mark_detached(self, lease: str, holder: int) -> Lease | None:
        """The command has returned and left a job that the run goes on to own. The lease, unless it was broken before."""
        mine = self._of(lease, holder)
        if mine is not None:
            mine.detached = True
            mine.reach = self._reaches.setdefault(mine.reach, mine.reach)
        return mine

    def broken(self, lease: str, holder: int) -> Lease | None:
        """The lease, when this is what breaks it: each broken lease is handed out once."""
        mine = self._of(lease, holder)
        if mine is not None:
            self._broken[lease] = self._open.pop(lease)
        return mine

    def holder_gone(self, holder: int) -> list[Lease]:
        """The leases that break because their holder is gone; what was detached stays with the run. One that was not answered for is void: nothing went out."""
        gone = [
            self._open.pop(lease.lease)
            for lease in self.opened
            if lease.holder == holder and not lease.detached
        ]
        broken = [lease for lease in gone if lease.answered]
        self._broken.update((lease.lease, lease) for lease in broken)
        return broken

    def close_gate(self) -> None:
        """Grant nothing from now on."""
        self.gate_open = False

    def break_all(self) -> list[Lease]:
        """Break every open lease, and hand them out."""
        leases = list(self._open.values())
        self._broken.update(self._open)
        self._open.clear()
        return leases

    def close(self, lease: str, result: LeaseResult) -> None:
        """Close a broken lease with what became of its kill order. Raises LeaseTableError when it is not broken, or closed before."""
        if lease not in self._broken:
            raise LeaseTableError(f"lease {lease} is not broken, so it can't be closed")
        self._closed.append((self._broken.pop(lease), result))

    @property
    def opened(self) -> list[Lease]:
        """The open leases."""
        return list(self._open.values())

    @property
    def unclosed(self) -> list[Lease]:
        """The broken leases whose kill orders have no result yet."""
        return list(self._broken.values())

    @property
    def closed(self) -> list[tuple[Lease, LeaseResult]]:
        """The broken leases with what became of them."""
        return list(self._closed)

    def _of(self, lease: str, holder: int) -> Lease | None:
        """The open lease of that holder; None when it was broken before, which the holder could not know."""
        mine = self._open.get(lease)
        if mine is None:
            return None
        if mine.holder != holder:
            raise LeaseTableError(f"lease {lease} belongs to another holder")
        return mine
