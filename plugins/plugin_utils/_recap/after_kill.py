# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines of the recap about the run after the kill."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    AfterKillReport,
    AfterKillState,
    HostEnding,
)

#: Hosts that are named for each ending. Further ones are only counted.
_MAX_NAMED_HOSTS = 10

#: The last lines of its output. They are shown if something went wrong.
_MAX_OUTPUT_LINES = 25


class AfterLine(t.NamedTuple):
    """One line, and whether it is bad news."""

    text: str
    bad: bool
    #: Whether the line is one of the output of what was run.
    of_output: bool = False


def after_lines(report: AfterKillReport | None) -> list[AfterLine]:
    """Return the lines; none if nothing was to be run."""
    if report is None:
        return []
    name = "after_kill: " + ", ".join(report.files)
    lines = [line for line in [_course(name, report)] if line is not None]
    for reason, hosts in sorted(_grouped(report.left_out).items()):
        lines.append(AfterLine(f"{name} was not run on {_named(hosts)}: {reason}", True))
    if any(line.bad for line in lines):
        lines += [
            AfterLine(f"  | {line}", bad=False, of_output=True)
            for line in report.output[-_MAX_OUTPUT_LINES:]
        ]
    return lines


def _course(name: str, report: AfterKillReport) -> AfterLine | None:
    if report.state is AfterKillState.WANTED:
        return AfterLine(
            f"{name} will run after every kill order has been tried; this command does not wait",
            True,
        )
    if report.state is AfterKillState.UNDER_WAY:
        return AfterLine(
            f"{name} is running on {_named(report.hosts)} and continues after this command exits",
            True,
        )
    if report.state is AfterKillState.NOWHERE:
        return None
    if report.error:
        return AfterLine(f"{name} was not run on {_named(report.hosts)}: {report.error}", True)
    good = (
        report.status == 0
        and not report.ended_by
        and all(ending is HostEnding.OK for ending in report.hosts.values())
    )
    how = (
        f"was interrupted ({report.ended_by})"
        if report.ended_by
        else "ended"
        if report.status == 0
        else f"FAILED ({_status(report.status)})"
    )
    texts = {host: ending.value for host, ending in report.hosts.items()}
    endings = "; ".join(
        f"{text or 'not reported'}: {_named(hosts)}"
        for text, hosts in sorted(_grouped(texts).items())
    )
    return AfterLine(f"{name} {how} after {report.seconds:.1f} s, {endings}", not good)


def _status(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"signal {-status}"


def _grouped(hosts: t.Mapping[str, str]) -> dict[str, list[str]]:
    grouped = collections.defaultdict(list)
    for host, what in hosts.items():
        grouped[what].append(host)
    return grouped


def _named(hosts: t.Collection[str]) -> str:
    names = sorted(hosts)
    more = f" and {len(names) - _MAX_NAMED_HOSTS} more" if len(names) > _MAX_NAMED_HOSTS else ""
    return ", ".join(names[:_MAX_NAMED_HOSTS]) + more
