# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shell action of this collection. The module shell has its documentation."""

from __future__ import annotations

from ansible.plugins.action.command import ActionModule as CoreCommand
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.recorded_action import (
    RecordedAction,
)


class ActionModule(RecordedAction, CoreCommand):
    """Core's action, recorded and with the kill options as arguments."""

    fixed_arguments = {"_uses_shell": True}  # noqa: RUF012
