# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The raw action of this collection. The module raw has its documentation."""

from __future__ import annotations

from ansible.plugins.action.raw import ActionModule as CoreRaw
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.recorded_action import (
    RecordedAction,
)


class ActionModule(RecordedAction, CoreRaw):
    """Core's action, recorded and with the kill options as arguments."""

    runs_module = False

    #: Core's action ignores what it does not know: a misspelt kill option would have no effect.
    _VALID_ARGS = frozenset({"_raw_params", "executable"})
