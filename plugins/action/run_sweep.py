# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The run_sweep action of this collection. The module run_sweep has its documentation."""

from __future__ import annotations

from ansible_collections.treekill.remote.plugins.plugin_utils._connection.sweep_action import (
    SweepAction,
)


class ActionModule(SweepAction):
    """Asks the journal on the controller, and ends what is left on the host."""
