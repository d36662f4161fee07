# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The messages between the processes of a run: what goes over the guardian's socket, and through the pipes of couriers.

This file is private to the collection treekill.remote.
"""

from __future__ import annotations

import dataclasses
import enum

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.json_record import JsonRecord
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import KillReport


class Outcome(enum.Enum):
    """The state of a kill order. The texts stand in journals and reports as well."""

    CONFIRMED = "confirmed"
    """The host reported."""
    UNREACHABLE = "unreachable"
    """No try reached the host."""
    FAILED = "failed"
    """The host was reached, or never can be, and the kill pass did not run or did not report."""
    LEFT = "left"
    """Left alone as the options say: kill_async is false, or on_disconnect is keep."""
    NOT_BEGUN = "not begun"
    """No order was needed: its command had not been sent, so nothing can have been started."""
    BROKEN_OFF = "broken off"
    """The transfer of a file: its client was ended here, and its server with it."""
    TRYING = "trying"
    """The first try did not reach the host, and another one follows. The lease is not closed."""
    UNDER_WAY = "under way"
    """The first try has not ended. The lease is not closed."""


@dataclasses.dataclass(frozen=True)
class LeaseResult(JsonRecord):
    """The result of a kill order, as a courier answers."""

    outcome: Outcome
    reason: str = ""
    """Why it is not confirmed, in words for the user."""
    report: KillReport | None = None
    """Of the host, when confirmed."""
