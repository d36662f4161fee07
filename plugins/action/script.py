# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The script action of this collection. The module script has its documentation."""

from __future__ import annotations

from ansible.plugins.action.script import ActionModule as CoreScript
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.recorded_action import (
    RecordedAction,
)


class ActionModule(RecordedAction, CoreScript):
    """Core's action, recorded and with the kill options as arguments."""

    runs_module = False
