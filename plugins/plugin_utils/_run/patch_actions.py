# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guarding every action of a run: what `track: all` patches in ansible-core.

This file is private to the collection treekill.remote.

`ActionBase.__init__` is where an action gets its connection with all options set, in every version of core, and where every
action comes through, whatever its plugin. Some actions take another connection later, as that of ansible.posix.synchronize does:
so what an action runs is looked at as well. Made in the main process, the patches are inherited by the workers that it forks.
"""

from __future__ import annotations

import functools
import typing as t

from ansible.errors import AnsibleOptionsError
from ansible.plugins.action import ActionBase
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.guard import (
    guard_connection,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.client import current
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.in_flight import (
    Guard,
    guard_of,
    note,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import (
    GuardedTask,
    needs_connection,
)

_MARK = "_treekill_track_all"

#: Attribute of an action: the connection that was looked at last.
_GUARDED = "_treekill_guarded_connection"

#: Methods of an action by which it runs something on its connection.
_RUNS = ("_execute_module", "_low_level_execute_command")


class _Tracking:
    """Of this process and its forks: whether the run that is going on is tracked."""

    on = False


def untrack() -> None:
    """The run is over. The patch stays, as another plugin may have put its own around it, and does nothing."""
    _Tracking.on = False


def track_all() -> None:
    """Guard the connection of every action that is made until `untrack`, here and in forked workers."""
    _Tracking.on = True
    original = ActionBase.__init__
    if hasattr(original, _MARK):
        return

    @functools.wraps(original)
    def guarded(self: ActionBase, *args: t.Any, **kwargs: t.Any) -> None:
        original(self, *args, **kwargs)
        if _Tracking.on:
            _guard(self)

    setattr(guarded, _MARK, True)
    ActionBase.__init__ = guarded  # type: ignore[method-assign]
    for name in _RUNS:
        setattr(ActionBase, name, _looked_at(getattr(ActionBase, name)))


def _looked_at(original: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    @functools.wraps(original)
    def method(self: ActionBase, *args: t.Any, **kwargs: t.Any) -> t.Any:
        if _Tracking.on and vars(self).get(_GUARDED) is not self._connection:
            _guard(self)
        return original(self, *args, **kwargs)

    return method


def _guard(action: ActionBase) -> None:
    connection, client = action._connection, current()
    vars(action)[_GUARDED] = connection
    try:
        if not needs_connection(action):
            note(Guard.NOT_NEEDED)
            # Thousands of items of set_fact cost what they cost without us. What such an action sends all the same is looked at then.
            guard_connection(connection, client, lambda: GuardedTask.from_action(action))
            return
        task = GuardedTask.from_action(action)
        note(guard_of(guard_connection(connection, client, task), task))
    except AnsibleOptionsError:
        raise
    except (AttributeError, TypeError, KeyError) as error:
        # A connection or an action that is not made as core makes them. Its tasks must go on, and its user must know.
        name = getattr(connection, "_load_name", type(connection).__name__)
        host = getattr(getattr(action, "_play_context", None), "remote_addr", "") or "a host"
        client.unguarded(str(host), name, f"{type(error).__name__}: {error}")
