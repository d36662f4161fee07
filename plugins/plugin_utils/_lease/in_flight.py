# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tasks that are in flight, as the main process knows them, and the note of each worker.

The guardian knows leases alone. A task without a lease may do nothing on its host, or may run
something that nothing ends. The recap has to distinguish the two.

A note is one byte of memory that the main process shares with its forks. So it needs no message, no
descriptor and no wait. A worker knows the position of its byte: core starts the worker right after
the main process has heard of its task.
"""

from __future__ import annotations

import dataclasses
import enum
import mmap
import typing as t

from ansible.plugins.loader import action_loader
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import (
    name_of,
    needs_connection,
)

if t.TYPE_CHECKING:
    from ansible.inventory.host import Host
    from ansible.playbook.task import Task
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import GuardedTask

#: Bytes, used in turn. There are never nearly as many tasks in flight at once.
_NOTES_BYTES = 65536

#: Actions that run nothing on a host, and do not declare it themselves.
_LOCAL_ACTIONS = ("include_tasks", "include_role", "import_tasks", "import_role", "pause")


class Guard(enum.IntEnum):
    """The note of a worker."""

    #: No note: the action is not made yet, or is made without this collection.
    UNKNOWN = 0
    #: Each command of the task holds a lease while it runs.
    HELD = 1
    #: The action does nothing on any host.
    NOT_NEEDED = 2
    #: The option track is none for the task.
    UNWANTED = 3
    #: A command went out without a lease.
    NO_GUARDIAN = 4
    #: The connection can't be guarded. The guardian has the reason.
    IMPOSSIBLE = 5


_REASONS = {
    Guard.UNWANTED: "treekill_track is none for it",
    Guard.NO_GUARDIAN: "there was no guardian when it began",
    Guard.IMPOSSIBLE: "its connection can't be guarded",
}

_PLUGINS_ONLY = "track is plugins, and it does not use a plugin of this collection"

KILLED = "the guardian that guarded it was killed"

LOST = "the guardian that ends it can't be found, and does not report here"


@dataclasses.dataclass(frozen=True)
class UnguardedTask:
    """A task that is in flight, and may run something on its host without a lease."""

    host: str
    task: str
    reason: str
    #: Whether the user has chosen to run it without a lease.
    wanted: bool
    #: The `delegate_to` of the task as it is in the playbook: a host, a template, or empty.
    delegate_to: str = ""


@dataclasses.dataclass
class _Started:
    """One task on one host."""

    task: str
    action: str
    number: int
    delegate_to: str
    #: Why the guardian that reports knows nothing of the task's leases; empty while it does.
    lost: str = ""


class InFlight:
    """The tasks of a run. The main process keeps them, and its forks write their notes."""

    def __init__(self, tracks_all: bool) -> None:
        """`tracks_all`: whether the collection sees each action of core.

        Then an action without a note has not begun.
        """
        self._tracks_all = tracks_all
        self._notes = mmap.mmap(-1, _NOTES_BYTES)
        self._number = 0
        self._started: dict[str, _Started] = {}

    def started(self, host: Host, task: Task) -> None:
        """Add a task. Core forks its worker next.

        A host has one task at a time, so its last one is over.
        """
        self._number += 1
        self._notes[self._number % _NOTES_BYTES] = Guard.UNKNOWN
        self._started[host.name] = _Started(
            name_of(task), task.action, self._number, str(task.delegate_to or "")
        )

    def ended(self, host: Host) -> None:
        """Remove the task of that host, which has a result."""
        self._started.pop(host.name, None)

    def lose_guardian(self, reason: str) -> None:
        """Note that there is a new guardian, which knows nothing of the tasks in flight."""
        for one in self._started.values():
            one.lost = one.lost or reason

    @property
    def actions(self) -> set[str]:
        """The actions of the tasks that are in flight, as they are written in the playbook."""
        return {one.action for one in self._started.values()}

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts of the play whose tasks are in flight."""
        return frozenset(self._started)

    def note(self, guard: Guard) -> None:
        """Write the note for the task of this worker."""
        self._notes[self._number % _NOTES_BYTES] = guard

    def unguarded(self) -> list[UnguardedTask]:
        """Return the tasks that are in flight and may run without a lease."""
        rows = []
        for host, one in self._started.items():
            guard = Guard(self._notes[one.number % _NOTES_BYTES])
            reason = self._why(one, guard)
            if reason:
                rows.append(
                    UnguardedTask(host, one.task, reason, guard is Guard.UNWANTED, one.delegate_to)
                )
        return rows

    def _why(self, one: _Started, guard: Guard) -> str:
        if guard is Guard.UNKNOWN:
            return "" if self._tracks_all or not _may_touch_a_host(one.action) else _PLUGINS_ONLY
        if guard in (Guard.HELD, Guard.NOT_NEEDED):
            return one.lost if guard is Guard.HELD else ""
        return _REASONS[guard]


def _may_touch_a_host(action: str) -> bool:
    """Whether an action may do something on a host. An action that is not found may."""
    if action.rpartition(".")[2] in _LOCAL_ACTIONS:
        return False
    return needs_connection(action_loader.get(action, class_only=True))


def guard_of(guard: object, task: GuardedTask) -> Guard:
    """Return the note for a task. `guard`: of its connection; None if it can't be guarded."""
    if task.options.track == "none":
        return Guard.UNWANTED
    return Guard.IMPOSSIBLE if guard is None else Guard.HELD


class _Current:
    """The tasks of this process. The main process sets them, and its forks inherit them."""

    in_flight: InFlight | None = None


def use(in_flight: InFlight | None) -> None:
    """Let the workers of this process write their notes there; nowhere if it is None."""
    _Current.in_flight = in_flight


def note(guard: Guard) -> None:
    """Write the note of this worker for its own task. Does nothing without a callback."""
    if _Current.in_flight is not None:
        _Current.in_flight.note(guard)
