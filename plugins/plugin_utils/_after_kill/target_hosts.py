# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts for the run after the kill. Pure.

They were interrupted, and no process of the interrupted tasks is alive on them.
"""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import Outcome

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import LeaseResult
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import LeaseTable


@dataclasses.dataclass(frozen=True)
class AfterHosts:
    """The hosts for the run, and the reasons why other interrupted hosts are left out."""

    #: Host to the names of its ended tasks.
    tasks: dict[str, list[str]]
    #: Host to the reason.
    left_out: dict[str, str]


def after_hosts(leases: LeaseTable, exempt: t.Container[str]) -> AfterHosts:
    """Return the hosts, from a table in which each order has been tried once.

    A host whose order is to be tried again is left out: its end is not confirmed.

    Args:
        leases: of the run.
        exempt: leases that were broken by a task's C(timeout), not by an interruption.
    """
    tasks: dict[str, list[str]] = collections.defaultdict(list)
    left_out: dict[str, str] = {}
    for lease, result in leases.closed:
        reason = _not_clean(result)
        if reason:
            left_out[lease.host] = reason
        if (
            result.outcome not in (Outcome.LEFT, Outcome.NOT_BEGUN)
            and lease.lease not in exempt
            and lease.task not in tasks[lease.host]
        ):
            tasks[lease.host].append(lease.task)
    for lease in leases.unclosed:
        left_out[lease.host] = "its end is not confirmed"
        tasks[lease.host].append(lease.task)
    interrupted = {host: names for host, names in tasks.items() if names}
    for host in interrupted:
        if not host or not host.isprintable() or "{{" in host or "{%" in host:
            # Such a name would change as a line of a file, or as the value of a variable.
            left_out.setdefault(host, "its name can't be passed on")
    return AfterHosts(
        {host: names for host, names in interrupted.items() if host not in left_out},
        {host: reason for host, reason in left_out.items() if host in interrupted},
    )


def _not_clean(result: LeaseResult) -> str:
    if result.outcome in (Outcome.LEFT, Outcome.BROKEN_OFF, Outcome.NOT_BEGUN):
        return ""
    if result.report is None:
        return "its end is not confirmed"
    if result.report.finishing:
        return "a transaction was left to finish there"
    return "processes are still alive there" if result.report.survivors else ""
