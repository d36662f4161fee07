# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The report of a kill pass as a dict of JSON, for type checkers alone: no host gets this file.

Python 3.6 has no dataclasses, and other classes would make the kill command longer.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, TypedDict

    class ReportRow(TypedDict, total=False):
        """One process, and how it ended or would end."""

        pid: int
        #: In clock ticks since boot.
        start: int
        ppid: int
        user: str
        command: str
        #: `root` or `child`; in a survey also `supervisor`.
        role: str
        #: The name of the last signal, or `exited`; None if it is alive.
        ended: Optional[str]
        #: Seconds from the beginning of the pass to its end; None if it is alive.
        seconds: Optional[float]
        #: Why it is alive; missing if there is no reason.
        reason: str
        #: `finishing`, `finished` or `broken off`; missing if it had none.
        transaction: str
        #: The first signal that a pass would send to it.
        signal: str

    class ReportedRoot(TypedDict):
        """The first process of the command."""

        pid: int
        ppid: int

    class HostReport(TypedDict, total=False):
        """The end of a tree on a host."""

        version: int
        #: How the processes were read: `proc` or `ps`.
        method: str
        root: Optional[ReportedRoot]
        gone: List[ReportRow]
        survivors: List[ReportRow]
        finishing: List[ReportRow]
        spared: List[ReportRow]
        #: The number of processes whose environment could not be read.
        unreadable: int
        #: Whether a pass of another user has handed its processes over to this one.
        escalated: bool
        supervised: bool
        #: The duration of the pass.
        seconds: float
