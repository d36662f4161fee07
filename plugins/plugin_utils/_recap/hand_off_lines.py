# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines of a recap about what the tasks have handed to others. Pure."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._core.display import C
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.drawing import Line
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.host_lines import (
    folded,
    natural,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.text import escaped, shortened

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import (
        ReportedHandOff,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
        ReportedLease,
    )

#: Words for each kind of hand-off.
_KINDS = {
    "container": "a container",
    "host": "another host",
    "unit": "a unit of systemd",
    "queue": "a queue",
    "terminal": "a terminal server",
}

#: Columns of what a line names, and lines without C(-v).
_MAX_COLUMNS, _MAX_LINES = 80, 20


def elsewhere_lines(results: t.Sequence[ReportedLease], verbosity: int) -> list[Line]:
    """Return the lines about what may go on elsewhere, and about containers that were stopped.

    Hosts with the same hand-off share a line.
    """
    hosts: dict[ReportedHandOff, set[str]] = collections.defaultdict(set)
    for result in results:
        for one in result.report.elsewhere if result.report else ():
            hosts[one].add(result.host)
    if not hosts:
        return []
    found = sorted(hosts.items(), key=lambda entry: (entry[0].state != "left", not entry[0].seen))
    limit = len(found) if verbosity else _MAX_LINES
    lines = [_line(one, sorted(of, key=natural)) for one, of in found[:limit]]
    if found[limit:]:
        lines.append(Line(f"  and {len(found) - limit} more; -v names all", C.COLOR_SKIP))
    if found[0][0].state == "left":
        heading = (
            "May go on elsewhere: the tasks had asked others for it,"
            " and nothing here has checked that it ended."
        )
        return [Line(""), Line(heading, C.COLOR_WARN, wraps=True), *lines]
    return [Line(""), *lines]


def _line(one: ReportedHandOff, hosts: t.Sequence[str]) -> Line:
    name = folded([escaped(host) for host in hosts])
    kind = _KINDS.get(one.kind, escaped(one.kind))
    what = shortened(escaped(one.what), _MAX_COLUMNS)
    if one.state == "stopped":
        before, color = f"  {name} : stopped {kind} by {escaped(one.program)} stop", C.COLOR_CHANGED
        return Line(f"{before}: {what}", color, before)
    begun = "" if one.seen else ", if it had begun"
    look = f"; look: {escaped(one.look)}" if one.look else ""
    before = f"  {name} : {kind}{begun}"
    return Line(f"{before}: {what}{look}", C.COLOR_WARN, f"{before}: {escaped(one.program)}")
