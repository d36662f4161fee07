# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The process tree of a kill report as a value: parents, endings, and groups of equal processes.

Pure. Nothing here recurses, because a chain of ten thousand forks is as deep as it is long.
"""

from __future__ import annotations

import collections
import dataclasses
import re
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import (
    KillReport,
    ReportedProcess,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.text import escaped

#: Text that the guard puts before the command. It is not the user's, and differs on every host.
_OUR_WORDS = re.compile(
    r"export TREEKILL=[0-9a-f]{16}/[^\s;]+(?: TREEKILL_KEEP=1)?; "
    r"|\[ ! -d /proc/self/task \] \|\| trap exit HUP; "
)

#: The start of a supervisor: a program in one line, which is of no use to a reader.
_OUR_START = re.compile(r" -c \S*import os,sys[,;].*", re.DOTALL)

#: Core's temporary directories. Each task has another one.
_TEMPORARY = re.compile(r"ansible-tmp-[0-9.-]+")

#: State of the supervisor of the tree. No report has it, because it ends when its tree is gone. The
#: parent pid of its children shows its position.
SUPERVISOR = "supervisor"


@dataclasses.dataclass
class Group:
    """A group of processes that are equal, including all processes below them.

    Without grouping it is one process.
    """

    #: The command line, escaped. It lacks differences between hosts that are not the user's.
    command: str
    user: str
    #: C(gone), C(survivors), C(spared): the list of the report that has them; or `SUPERVISOR`.
    state: str
    #: The last signal; C(exited) without any; empty for a live process.
    ended: str
    reason: str
    pids: list[int]
    first: float = 0.0
    #: Seconds after which the first and the last of them had ended.
    last: float = 0.0
    below: list[Group] = dataclasses.field(default_factory=list)
    #: A number that all equal groups within one `Kinds` have.
    kind: int = 0

    def with_descendants(self) -> t.Iterator[Group]:
        """Yield this group and the groups below it, parents first."""
        waiting = [self]
        while waiting:
            group = waiting.pop()
            yield group
            waiting += reversed(group.below)


class Kinds:
    """Numbers for equal groups, to compare trees. All trees of a recap share them."""

    def __init__(self) -> None:
        self._numbers: dict[t.Hashable, int] = {}

    def number_of(self, group: Group) -> int:
        """Return the number of a group whose groups below have numbers.

        Times and pids do not count.
        """
        below = tuple(sorted((one.kind, len(one.pids)) for one in group.below))
        return self._numbers.setdefault(
            (group.command, group.user, group.state, group.ended, group.reason, below),
            len(self._numbers) + 1,
        )


def trees(report: KillReport, kinds: Kinds, apart: bool = False) -> list[Group]:
    """Return the topmost groups of a report, each with its tree.

    Args:
        report: of a host. A hostile host may report any parents. In a circle of parents, one
            process is topmost.
        kinds: the numbers of equal groups.
        apart: keep each process by itself.
    """
    rows = _rows(report)
    groups = [_group(state, row) for state, row in rows]
    places = {row.pid: index for index, (dummy, row) in enumerate(rows)}
    below: dict[int, list[int]] = collections.defaultdict(list)
    for index, (dummy, row) in enumerate(rows):
        parent = places.get(row.ppid)
        if parent is not None:
            below[parent].append(index)
    top = [index for index, (dummy, row) in enumerate(rows) if row.ppid not in places]
    parent_of = _walk(len(rows), top, below)
    topmost: list[Group] = []
    # The group that was reached last is the lowest one. So the groups below it are complete.
    for index in reversed(parent_of):
        group, parent = groups[index], parent_of[index]
        group.below.reverse()
        if not apart:
            group.below = together(group.below)
        group.kind = kinds.number_of(group)
        (topmost if parent is None else groups[parent].below).append(group)
    topmost.reverse()
    return topmost if apart else together(topmost)


def _rows(report: KillReport) -> list[tuple[str, ReportedProcess]]:
    """Return (state, row) of each process. The supervisor is among them if its orphans show it."""
    rows = [
        (state, row)
        for state, of in (
            ("gone", report.gone),
            ("survivors", report.survivors),
            ("spared", report.spared),
            ("finishing", report.finishing),
        )
        for row in of
    ]
    known = {row.pid for dummy, row in rows}
    unknown_parents = collections.Counter(
        row.ppid
        for dummy, row in rows
        if row.role != "root" and row.ppid not in known and row.ppid != 1
    )
    if not report.supervised or not unknown_parents:
        return rows
    pid = unknown_parents.most_common(1)[0][0]
    root = next((row for dummy, row in rows if row.role == "root" and row.ppid != pid), None)
    supervisor = ReportedProcess(
        pid=pid,
        start=0,
        ppid=root.pid if root else 0,
        user="",
        command=SUPERVISOR,
        role=SUPERVISOR,
        ended=None,
        seconds=None,
    )
    return [*rows, (SUPERVISOR, supervisor)]


def _walk(count: int, top: list[int], below: t.Mapping[int, list[int]]) -> dict[int, int | None]:
    """Return each index below `count` with the index above it, in the order of a walk down.

    The topmost have None above them.
    """
    reached: dict[int, int | None] = {}
    for start in (*top, *range(count)):
        if start in reached:
            continue
        reached[start] = None
        waiting = collections.deque([start])
        while waiting:
            parent = waiting.popleft()
            for index in below.get(parent, ()):
                if index not in reached:
                    reached[index] = parent
                    waiting.append(index)
    return reached


def _group(state: str, row: ReportedProcess) -> Group:
    seconds = float(row.seconds or 0.0)
    command = row.command
    if _OUR_WORDS.search(command):
        command = _OUR_START.sub(" ...", _OUR_WORDS.sub("", command))
    command = _TEMPORARY.sub("ansible-tmp-*", command)
    ended = "" if state != "gone" else row.ended or "exited"
    return Group(
        escaped(command.strip()),
        escaped(row.user),
        state,
        escaped(ended),
        escaped(row.reason),
        [row.pid],
        seconds,
        seconds,
    )


def together(groups: t.Sequence[Group]) -> list[Group]:
    """Return groups side by side, with equal ones merged into the first of them."""
    first_of: dict[int, Group] = {}
    for group in groups:
        if group.kind in first_of:
            _merge(first_of[group.kind], group)
        else:
            first_of[group.kind] = group
    return list(first_of.values())


def _merge(first: Group, second: Group) -> None:
    waiting = [(first, second)]
    while waiting:
        mine, its = waiting.pop()
        mine.pids += its.pids
        mine.first, mine.last = min(mine.first, its.first), max(mine.last, its.last)
        others = {group.kind: group for group in its.below}
        waiting += [(group, others[group.kind]) for group in mine.below]
