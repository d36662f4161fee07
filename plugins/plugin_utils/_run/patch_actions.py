# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The patches of ansible-core that guard every action of a run, for `track: all`.

In every version of core, `ActionBase.__init__` runs for each action, whatever its plugin. There the
action gets its connection with all options set. Some actions use another connection later, for
example the action of ansible.posix.synchronize. Therefore the methods that run something on a host
are patched as well. Workers inherit the patches by fork from the main process.
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

#: Attribute of an action: the connection that was last guarded for it, or refused.
_GUARDED = "_treekill_guarded_connection"

#: Methods by which an action runs something on its connection.
_RUNS = ("_execute_module", "_low_level_execute_command")


class _Tracking:
    """Whether the current run of this process, or of the one that forked it, is tracked."""

    on = False


def untrack() -> None:
    """Guard no further actions.

    The patches stay and do nothing: another plugin may have wrapped them.
    """
    _Tracking.on = False


def track_all() -> None:
    """Guard every action that is made before `untrack`, in this process and in forked workers."""
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
            # Thousands of items of set_fact must not cost more than without a guard. If such an
            # action sends something nevertheless, its task is read then.
            guard_connection(connection, client, lambda: GuardedTask.from_action(action))
            return
        task = GuardedTask.from_action(action)
        note(guard_of(guard_connection(connection, client, task), task))
    except AnsibleOptionsError:
        raise
    except (AttributeError, TypeError, KeyError) as error:
        # The connection or the action is not made as core makes them. Its tasks must continue, and
        # the user must know.
        name = getattr(connection, "_load_name", type(connection).__name__)
        host = getattr(getattr(action, "_play_context", None), "remote_addr", "") or "a host"
        client.unguarded(str(host), name, f"{type(error).__name__}: {error}")
