# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tasks that are in flight, as the main process knows them, and what each worker has noted of the guard of its own.

The guardian knows leases alone. A task that holds none may do nothing on its host, or may run what nobody ends: a recap has to tell them apart.
A note is one byte of memory that the main process shares with its forks: no message, no descriptor, nothing to wait for. The place of the byte is
known to the worker because core starts it right after the main process has heard of its task.
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

#: Bytes, used in turn: far more than tasks can be in flight at once.
_MAX_TASKS = 65536

#: Actions that run nothing on a host, and do not say so of themselves.
_LOCAL_ACTIONS = ("include_tasks", "include_role", "import_tasks", "import_role", "pause")


class Guard(enum.IntEnum):
    """What a worker notes."""

    #: No note: its action was not made yet, or is not made through anything of ours.
    UNKNOWN = 0
    #: Each command of the task holds a lease while it runs.
    HELD = 1
    #: The action does nothing on any host.
    NOT_NEEDED = 2
    #: The option track is none for it.
    UNWANTED = 3
    #: A command went out without a lease.
    NO_GUARDIAN = 4
    #: The connection can't be guarded: the guardian was told why.
    IMPOSSIBLE = 5


_REASONS = {
    Guard.UNWANTED: "treekill_track is none for it",
    Guard.NO_GUARDIAN: "no guardian could be had when it began",
    Guard.IMPOSSIBLE: "its connection can't be guarded",
}

_PLUGINS_ONLY = "track is plugins, and it does not go through a plugin of this collection"

KILLED = "the guardian that guarded it was killed"

LOST = "the guardian that ends it can't be found any more, and does not report here"


@dataclasses.dataclass(frozen=True)
class UnguardedTask:
    """A task that is in flight, and may run something on its host without a lease."""

    host: str
    task: str
    reason: str
    #: Whether that is as the user wants it.
    wanted: bool


@dataclasses.dataclass
class _Started:
    """One task on one host."""

    task: str
    action: str
    number: int
    #: Why the guardian that is asked for a report does not know its leases; empty while it does.
    lost: str = ""


class InFlight:
    """Kept by the main process; its forks write their notes."""

    def __init__(self, tracks_all: bool) -> None:
        """`tracks_all`: whether each action of core comes to us, so that one without a note has not begun."""
        self._tracks_all = tracks_all
        self._notes = mmap.mmap(-1, _MAX_TASKS)
        self._number = 0
        self._started: dict[str, _Started] = {}

    def started(self, host: Host, task: Task) -> None:
        """A worker for it is forked next. A host has one task at a time: what it had before is over."""
        self._number += 1
        self._notes[self._number % _MAX_TASKS] = Guard.UNKNOWN
        self._started[host.name] = _Started(name_of(task), task.action, self._number)

    def ended(self, host: Host) -> None:
        """The task of that host has a result."""
        self._started.pop(host.name, None)

    def lose_guardian(self, reason: str) -> None:
        """The guardian is another one from now on; what the last one knew of the tasks in flight is lost to it."""
        for one in self._started.values():
            one.lost = one.lost or reason

    def note(self, guard: Guard) -> None:
        """Of the task of this worker."""
        self._notes[self._number % _MAX_TASKS] = guard

    def unguarded(self) -> list[UnguardedTask]:
        """Return the tasks that are in flight and may run without a lease."""
        rows = []
        for host, one in self._started.items():
            guard = Guard(self._notes[one.number % _MAX_TASKS])
            reason = self._why(one, guard)
            if reason:
                rows.append(UnguardedTask(host, one.task, reason, wanted=guard is Guard.UNWANTED))
        return rows

    def _why(self, one: _Started, guard: Guard) -> str:
        if guard is Guard.UNKNOWN:
            return "" if self._tracks_all or not _may_touch_a_host(one.action) else _PLUGINS_ONLY
        if guard in (Guard.HELD, Guard.NOT_NEEDED):
            return one.lost if guard is Guard.HELD else ""
        return _REASONS[guard]


def _may_touch_a_host(action: str) -> bool:
    """Whether an action may do something on a host. Of one that is not found nothing is known: it may."""
    if action.rpartition(".")[2] in _LOCAL_ACTIONS:
        return False
    return needs_connection(action_loader.get(action, class_only=True))


def guard_of(leashed: object, task: GuardedTask) -> Guard:
    """What to note of a task whose connection was to be put on a leash. `leashed`: the leash, or None where there is none."""
    if task.options.track == "none":
        return Guard.UNWANTED
    return Guard.IMPOSSIBLE if leashed is None else Guard.HELD


class _Current:
    """Of this process: set in the main process, inherited by its forks."""

    in_flight: InFlight | None = None


def use(in_flight: InFlight | None) -> None:
    """Have the workers of this process write their notes there; nowhere with None."""
    _Current.in_flight = in_flight


def note(guard: Guard) -> None:
    """In a worker, of its own task; without a callback nothing is noted."""
    if _Current.in_flight is not None:
        _Current.in_flight.note(guard)
