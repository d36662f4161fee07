# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Adds to the report of a host what may go on elsewhere, and has followed containers stopped."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import (
    KillReport,
    ReportedHandOff,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.containers import (
    Ending,
    stop,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_off import HandOff
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_off_hints import (
    hints,
    places_in,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_offs_of_tree import (
    seen_in,
    without_ended,
)

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.kill_order import (
        KillOrder,
    )


def with_elsewhere(
    order: KillOrder,
    report: KillReport,
    payload: bool,
    *,
    at_once: bool = False,
    since_began: float = 0.0,
) -> KillReport:
    """Return the report with what the tree, and the text of its task, has handed to others.

    Args:
        order: reaches the host.
        report: of the host.
        payload: whether the command may have run the task's own work. Otherwise its text has not
            begun.
        at_once: whether the grace period is skipped.
        since_began: seconds since the kill began.
    """
    seen = seen_in(report)
    followed = [] if report.survivors or report.finishing else [one for one in seen if one.followed]
    containers = [one.followed for one in followed if one.followed]
    # The courier whose grace period is skipped finds that out by its clients.
    at_once = at_once or any(one.killed for one in containers)
    grace = 0.0 if at_once else order.terms.options.timeout - report.seconds
    endings = stop(order, containers, grace, since_began)
    known = {one.key: ending for one, ending in zip(followed, endings, strict=False)}
    found: dict[tuple[object, ...], ReportedHandOff] = {}
    places = places_in(order.terms.arguments)
    for one in seen:
        ending = known.get(one.key, Ending.LEFT)
        entry = one.behind(places).reported(seen=True)
        if ending is Ending.STOPPED:
            entry = dataclasses.replace(entry, state="stopped")
        if ending is not Ending.ENDED:
            found[one.key] = entry
    named: list[HandOff] = hints(order.terms.arguments) if payload else []
    for one in without_ended(report, named):
        if known.get(one.key) is not Ending.ENDED:
            found.setdefault(one.key, one.behind(places).reported(seen=False))
    return dataclasses.replace(report, elsewhere=tuple(found.values()))
