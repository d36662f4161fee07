# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a kill pass. It goes from the courier to the recap and to the report file."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.json_record import JsonRecord


@dataclasses.dataclass(frozen=True)
class ReportedProcess(JsonRecord):
    """A process of the tree.

    `start` distinguishes it from a later process with this pid. `ended` says how it ended: None
    for a live process.
    """

    pid: int
    start: int
    ppid: int
    user: str
    command: str
    role: str
    ended: str | None
    seconds: float | None
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class KillReport(JsonRecord):
    """The work of a kill pass. `root`: pid and ppid of the first process, if it was there."""

    method: str
    root: tuple[int, int] | None
    gone: tuple[ReportedProcess, ...]
    survivors: tuple[ReportedProcess, ...]
    spared: tuple[ReportedProcess, ...]
    unreadable: int
    escalated: bool
    #: Whether a supervisor was there, or had done the work.
    supervised: bool
    seconds: float

    def rewritten(
        self, command: t.Callable[[str], str], reason: t.Callable[[str], str]
    ) -> KillReport:
        """Return the report with these functions applied to each command line and each reason."""

        def rows(of: tuple[ReportedProcess, ...]) -> tuple[ReportedProcess, ...]:
            return tuple(
                dataclasses.replace(one, command=command(one.command), reason=reason(one.reason))
                for one in of
            )

        return dataclasses.replace(
            self, gone=rows(self.gone), survivors=rows(self.survivors), spared=rows(self.spared)
        )


def merge(first: KillReport, second: KillReport) -> KillReport:
    """Return one report made of two reports of one tree.

    A process is gone if one of them says so. It has survived only if each report that names it has
    it alive.
    """
    gone = {(process.pid, process.start): process for process in first.gone}
    for process in second.gone:
        if (process.pid, process.start) not in gone or process.ended == "KILL":
            gone[process.pid, process.start] = process
    survivors = {
        (process.pid, process.start): process for process in first.survivors + second.survivors
    }
    spared = {(process.pid, process.start): process for process in first.spared + second.spared}
    return KillReport(
        method=first.method,
        root=first.root or second.root,
        gone=tuple(gone.values()),
        survivors=tuple(process for identity, process in survivors.items() if identity not in gone),
        spared=tuple(spared.values()),
        unreadable=max(first.unreadable, second.unreadable),
        escalated=first.escalated or second.escalated,
        supervised=first.supervised or second.supervised,
        seconds=max(first.seconds, second.seconds),
    )
