# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard of a connection plugin of this collection, which the plugin makes itself."""

from __future__ import annotations

import typing as t

from ansible.release import __version__ as core_version
from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.plugin_utils._core import api

if t.TYPE_CHECKING:
    from ansible.plugins.connection import ConnectionBase


def guard_itself(connection: ConnectionBase) -> None:
    """Guard a connection of this collection once core has set its options.

    Core sets them for each task, host and loop item.
    """
    if not api.is_supported(api.Feature.OWN):
        # The callback shows this warning where it is enabled.
        unknown = api.warning(core_version)
        if unknown:
            Display().warning(unknown)
        return
    # Imported late: these files fail on a core that lacks what they need.
    from ansible_collections.treekill.remote.plugins.plugin_utils._connection.guard import (  # noqa: PLC0415
        guard_connection,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.client import current  # noqa: PLC0415
    from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.connection_spec import (  # noqa: PLC0415, E501
        carries_order,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.in_flight import (  # noqa: PLC0415
        guard_of,
        note,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import GuardedTask  # noqa: PLC0415

    if carries_order(connection):
        return
    task = GuardedTask.from_connection(connection)
    if task is not None:
        note(guard_of(guard_connection(connection, current(), task), task))
