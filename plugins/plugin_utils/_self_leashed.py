# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connection plugins of this collection that put themselves on a leash.

This file is private to the collection treekill.remote.
"""

from __future__ import annotations

import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order import carries_order
from ansible_collections.treekill.remote.plugins.plugin_utils._leash import leash
from ansible_collections.treekill.remote.plugins.plugin_utils._link import current
from ansible_collections.treekill.remote.plugins.plugin_utils._task import GuardedTask

if t.TYPE_CHECKING:
    from ansible.plugins.connection import ConnectionBase


def leash_self(connection: ConnectionBase) -> None:
    """To be called when core has set the options, which it does for each task, host and loop item."""
    if carries_order(connection):
        return
    task = GuardedTask.of_connection(connection)
    if task is not None:
        leash(connection, current(), task)
