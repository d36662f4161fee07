# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict, which is the last line of a recap. Pure.

It counts each host once, under the worst that the recap says about it.
"""

from __future__ import annotations

import collections
import enum
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._core.display import C
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    AlwaysState,
    Outcome,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.drawing import Line
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.host_lines import (
    blind_spots,
    is_unconfirmed,
)

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
        AlwaysOutcome,
        ReportedLease,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._recap.host_lines import Unguarded


class Ending(enum.IntEnum):
    """The outcome of a run on a host. The larger number is the worse one."""

    NOT_BEGUN = 0
    CLEAN = 1
    #: Nothing was found alive, and some process could not have been found.
    AS_FAR_AS_SEEN = 2
    LEFT_ALONE = 3
    ELSEWHERE = 4
    FINISHING = 5
    ALWAYS = 6
    BROKEN_OFF = 7
    NOT_PROTECTED = 8
    NOT_CONFIRMED = 9
    SURVIVOR = 10

    @property
    def label(self) -> str:
        """The words of the verdict for it."""
        return _WORDS[self]


_WORDS = {
    Ending.NOT_BEGUN: "had nothing begun",
    Ending.CLEAN: "ended clean",
    Ending.AS_FAR_AS_SEEN: "ended as far as seen",
    Ending.LEFT_ALONE: "left something alone",
    Ending.ELSEWHERE: "may go on elsewhere",
    Ending.FINISHING: "left to finish",
    Ending.ALWAYS: "without a whole always section",
    Ending.BROKEN_OFF: "broken off in a transaction",
    Ending.NOT_PROTECTED: "not protected",
    Ending.NOT_CONFIRMED: "not confirmed",
    Ending.SURVIVOR: "with survivors",
}


def endings(
    results: t.Mapping[str, t.Sequence[ReportedLease]],
    unguarded: Unguarded,
    always: t.Sequence[AlwaysOutcome] = (),
    *,
    lost: bool = False,
) -> dict[str, Ending]:
    """Return the ending of each host that the recap names. `lost`: see the recap."""
    found: dict[str, list[Ending]] = collections.defaultdict(list)
    for host, of_host in results.items():
        found[host] += [ending for result in of_host for ending in _endings_of(result)]
        if blind_spots(of_host):
            found[host].append(Ending.AS_FAR_AS_SEEN)
    for connection in unguarded.connections:
        found[connection.host].append(Ending.NOT_PROTECTED)
    for task in unguarded.tasks:
        found[task.host].append(Ending.LEFT_ALONE if task.wanted else Ending.NOT_PROTECTED)
    for outcome in always:
        ran = outcome.state is AlwaysState.RAN
        found[outcome.host].append(Ending.CLEAN if ran else Ending.ALWAYS)
    # The leases of a lost guardian may be on any host.
    least = Ending.AS_FAR_AS_SEEN if lost else Ending.NOT_BEGUN
    return {host: max(least, *of_host) for host, of_host in found.items()}


def _endings_of(result: ReportedLease) -> t.Iterator[Ending]:
    report = result.report
    if is_unconfirmed(result):
        yield Ending.NOT_CONFIRMED
    elif result.outcome is Outcome.LEFT:
        yield Ending.LEFT_ALONE
    else:
        yield Ending.NOT_BEGUN if result.outcome is Outcome.NOT_BEGUN else Ending.CLEAN
    if report is None:
        return
    if report.survivors:
        yield Ending.SURVIVOR
    if report.spared:
        yield Ending.LEFT_ALONE
    if report.finishing:
        yield Ending.FINISHING
    if any(process.transaction == "broken off" for process in report.gone):
        yield Ending.BROKEN_OFF
    if any(one.state == "left" for one in report.elsewhere):
        yield Ending.ELSEWHERE


def verdict(
    hosts: t.Mapping[str, Ending], *, lost: bool = False, after_kill_failed: bool = False
) -> Line:
    """Return the line: the good hosts first, then the others, the worst first.

    It says so as well if a guardian was lost, and if after_kill did not end well.
    """
    counts = collections.Counter(hosts.values())
    good = [Ending.CLEAN, Ending.NOT_BEGUN]
    order = good + sorted(set(Ending).difference(good), reverse=True)
    parts = [f"{counts[ending]} {ending.label}" for ending in order if counts[ending]]
    number = "1 host" if len(hosts) == 1 else f"{len(hosts)} hosts"
    text = f"{number}: {', '.join(parts)}" if parts else "Nothing is known of any host"
    if lost and parts:
        text += "; more may be alive, because a guardian was lost"
    if after_kill_failed:
        text += "; after_kill is not done everywhere"
    worst = max(hosts.values(), default=Ending.CLEAN)
    if lost or after_kill_failed or worst >= Ending.ALWAYS:
        return Line(text, C.COLOR_ERROR, wraps=True, ends=True)
    return Line(text, C.COLOR_WARN if worst > Ending.CLEAN else C.COLOR_OK, wraps=True, ends=True)
