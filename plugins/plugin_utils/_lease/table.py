# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The leases of a run: the open ones, the broken ones, and the results of these.

The table is pure: it has no socket and no clock.

A granted lease ends exactly once. It is done, or it is broken and later closed with the result of
its kill order.
"""

from __future__ import annotations

import dataclasses

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import LeaseTerms
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import LeaseResult


@dataclasses.dataclass
class Lease:
    """One promise: the command returns, or it is killed."""

    lease: str
    #: The number of the connection to the guardian that took it.
    holder: int
    host: str
    task: str
    terms: LeaseTerms
    #: `KillOrderTerms` as JSON text, with secrets in it. Only the courier and the pulses open it.
    order: str
    #: `ConnectionSpec` as JSON text, with secrets in it. Only the courier opens it.
    reach: str = ""
    #: The pid of the worker that holds it.
    worker: int = 0
    #: Whether the task has ended, and its job keeps running: async with poll 0.
    detached: bool = False
    #: Whether its holder can have read that it is granted. Before that, no command goes out under
    #: it.
    answered: bool = True
    #: Whether its task belongs to an `always` section that runs after an interruption.
    always: bool = False


class LeaseTableError(Exception):
    """A message that makes no sense for the lease that it names.

    The text gives the lease and the reason.
    """


class LeaseTable:
    """The leases of a run."""

    def __init__(self) -> None:
        self._open: dict[str, Lease] = {}
        self._broken: dict[str, Lease] = {}
        self._closed: list[tuple[Lease, LeaseResult]] = []
        #: One copy of each text for the detached leases of a host. They last as long as the run,
        #: and may be thousands.
        self._reaches: dict[str, str] = {}
        self.gate_open = True
        self._only_always = False

    def grant(self, lease: Lease) -> bool:
        """Add the lease if the gate is open, and return whether it is.

        Raises:
            LeaseTableError: a lease with its id was granted before.
        """
        if lease.lease in self._open or lease.lease in self._broken:
            raise LeaseTableError(f"lease {lease.lease} is granted already")
        granted = self.gate_open and (lease.always or not self._only_always)
        if granted:
            self._open[lease.lease] = lease
        return granted

    def done(self, lease: str, holder: int) -> bool:
        """Remove the lease, whose command has returned. Return whether it was open.

        If it was broken before, its kill order continues, and does no harm.
        """
        if self._of(lease, holder) is None:
            return False
        del self._open[lease]
        return True

    def knows(self, lease: str) -> bool:
        """Whether the lease was granted here, and is not done."""
        return (
            lease in self._open
            or lease in self._broken
            or any(lease == one.lease for one, dummy in self._closed)
        )

    def mark_detached(self, lease: str, holder: int) -> Lease | None:
        """Note that the command has left a job that belongs to the run.

        Return the lease if it is open.
        """
        mine = self._of(lease, holder)
        if mine is not None:
            mine.detached = True
            mine.reach = self._reaches.setdefault(mine.reach, mine.reach)
        return mine

    def broken(self, lease: str, holder: int) -> Lease | None:
        """Break the lease, and return it.

        None if it was broken before: it gets one kill order only.
        """
        mine = self._of(lease, holder)
        if mine is not None:
            self._broken[lease] = self._open.pop(lease)
        return mine

    def holder_gone(self, holder: int) -> list[Lease]:
        """Break the leases of a holder that is gone, and return them.

        Detached leases stay with the run. A lease without an answer is void, because no command
        went out under it.
        """
        gone = [
            self._open.pop(lease.lease)
            for lease in self.opened
            if lease.holder == holder and not lease.detached
        ]
        broken = [lease for lease in gone if lease.answered]
        self._broken.update((lease.lease, lease) for lease in broken)
        return broken

    def close_gate(self) -> None:
        """Grant no more leases."""
        self.gate_open = False

    def open_gate_for_always(self) -> None:
        """Grant leases to tasks of `always` sections, and to no others."""
        self.gate_open = self._only_always = True

    def break_all(self) -> list[Lease]:
        """Break every open lease, and return them."""
        leases = list(self._open.values())
        self._broken.update(self._open)
        self._open.clear()
        return leases

    def close(self, lease: str, result: LeaseResult) -> None:
        """Close a broken lease with the result of its kill order.

        Raises:
            LeaseTableError: it is not broken, or is closed already.
        """
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
        """The closed leases with their results."""
        return list(self._closed)

    def _of(self, lease: str, holder: int) -> Lease | None:
        """Return the open lease of that holder.

        None if it was broken before, which the holder could not know.
        """
        mine = self._open.get(lease)
        if mine is None:
            return None
        if mine.holder != holder:
            raise LeaseTableError(f"lease {lease} belongs to another holder")
        return mine
