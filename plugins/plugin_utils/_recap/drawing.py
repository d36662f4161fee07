# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process tree drawn as pstree does, for a terminal of some width, each process with how it ended. Pure."""

from __future__ import annotations

import collections
import dataclasses
import textwrap
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._core.display import C
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.text import (
    columns,
    seconds,
    shortened,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.tree import SUPERVISOR, Group

#: Columns that a command gets even on the narrowest screen. Where how it ended has no room beside
#: them, it goes to a line of its own.
_MIN_COMMAND_COLUMNS = 16

#: Columns that a command gets on the widest screen: how it ended is not to be looked for far away.
_MAX_COMMAND_COLUMNS = 100


@dataclasses.dataclass(frozen=True)
class Screen:
    """What is drawn on."""

    #: Columns; that many where nobody knows, as in the log of a CI job.
    width: int = 160
    #: Whether it shows lines and arrows, or ASCII alone.
    unicode: bool = True
    #: How many C(-v) the user gave: with one, more lines; with two, all of them, and nothing taken
    #: together.
    verbosity: int = 0

    @property
    def lines(self) -> int | None:
        """Lines that a tree gets."""
        return (24, 400, None)[min(self.verbosity, 2)]

    @property
    def ellipsis(self) -> str:
        """The sign for text that was left out."""
        return "…" if self.unicode else "..."


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the recap, and the colour that Ansible shows such news in."""

    text: str
    color: str | None = None
    #: What of it goes to the file of `log_path`, where it is not the same: that file is not
    #: private, and no command line goes there. Empty: nothing.
    log: str | None = None


@dataclasses.dataclass
class _Drawn:
    """A group in its place: what is drawn before it, before the lines below it, and what it says."""

    before: str
    under: str
    text: str
    #: After the text, and never cut off: whose pid and user it is.
    note: str
    ending: str
    color: str | None

    def fitted(self, width: int, ellipsis: str) -> str:
        """Text and note in so many columns, if the note leaves any."""
        return (
            shortened(self.text, max(width - columns(self.note), _MIN_COMMAND_COLUMNS), ellipsis)
            + self.note
        )


def draw(top: t.Sequence[Group], screen: Screen, indent: str = "  ") -> list[Line]:
    """The lines of a tree, or of several beside each other."""
    shown = _shown(top, screen.lines)
    drawn = list(_place(top, shown, screen, indent))
    endings = [columns(one.ending) for one in drawn if one.color != C.COLOR_ERROR]
    room = screen.width - max(endings, default=0) - 2
    left = max((columns(one.before + one.text + one.note) for one in drawn), default=0)
    width = min(left, room, _MAX_COMMAND_COLUMNS)
    return [line for one in drawn for line in _lines(one, width, screen)]


def _lines(one: _Drawn, width: int, screen: Screen) -> list[Line]:
    if not one.ending:
        return [
            Line(
                one.before + one.fitted(screen.width - columns(one.before), screen.ellipsis),
                one.color,
            )
        ]
    room = width - columns(one.before)
    text = one.fitted(room, screen.ellipsis)
    if columns(text) <= room and width + 2 + columns(one.ending) <= screen.width:
        return [Line(f"{one.before}{text}{' ' * (room - columns(text))}  {one.ending}", one.color)]
    # Too narrow for both: the command, and below it how it ended.
    text = one.fitted(screen.width - columns(one.before), screen.ellipsis)
    under = one.under + "    "
    wrapped = textwrap.wrap(
        one.ending,
        max(screen.width - columns(under), _MIN_COMMAND_COLUMNS),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [
        Line(one.before + text, one.color),
        *(Line(under + part, one.color) for part in wrapped),
    ]


def _shown(top: t.Sequence[Group], limit: int | None) -> set[int]:
    """Which groups are drawn, by id(): those of survivors with all above them, then level by level as many as there is room for."""
    levels, above = _levels(top)
    if limit is None:
        return {id(group) for group in levels}
    shown: set[int] = set()
    for group in levels:
        if group.state == "survivors":
            one: Group | None = group
            while one is not None and id(one) not in shown:
                shown.add(id(one))
                one = above[id(one)]
    for group in levels:
        if len(shown) >= limit:
            break
        shown.add(id(group))
    return shown


def _levels(top: t.Sequence[Group]) -> tuple[list[Group], dict[int, Group | None]]:
    """All groups, level by level, and by id() who stands above each."""
    levels: list[Group] = [*top]
    above: dict[int, Group | None] = {id(group): None for group in top}
    for group in levels:
        levels += group.below
        above.update((id(one), group) for one in group.below)
    return levels, above


def _place(
    top: t.Sequence[Group], shown: set[int], screen: Screen, indent: str
) -> t.Iterator[_Drawn]:
    """Each line in its place: (group or the text that stands for several, what is drawn left of it, whether it is the last there)."""
    fork, corner, rail = ("├─", "└─", "│ ") if screen.unicode else ("|-", "`-", "| ")
    waiting: list[tuple[Group | str, str, str, str]] = [
        (item, indent, "", "") for item in reversed(_items(top, shown))
    ]
    while waiting:
        item, indent, joint, user = waiting.pop()
        # Nobody counts the levels of a long chain, and each costs two columns: what is deeper than half of the screen stands below each other.
        deeper = columns(indent) < screen.width // 2
        under = indent + ({fork: rail, corner: "  "}.get(joint, "") if deeper else "")
        if isinstance(item, str):
            yield _Drawn(indent + joint, under, item, "", "", C.COLOR_SKIP)
            continue
        ending, color = _ending(item)
        yield _Drawn(indent + joint, under, *_named(item, user), ending, color)
        items = _items(item.below, shown)
        waiting += [
            (one, under, corner if one is items[-1] else fork, item.user or user)
            for one in reversed(items)
        ]


def _items(groups: t.Sequence[Group], shown: set[int]) -> list[Group | str]:
    """What stands beside each other: the groups that are drawn, and a text for the others."""
    items: list[Group | str] = [group for group in groups if id(group) in shown]
    endings: collections.Counter[str] = collections.Counter()
    for group in groups:
        if id(group) not in shown:
            for one in group.with_descendants():
                endings[one.ended or one.state] += len(one.pids)
    if endings:
        how = ", ".join(f"{ending} {number}" for ending, number in sorted(endings.items()))
        items.append(f"and {endings.total()} more ({how}); -vv draws all")
    return items


def _named(group: Group, above: str) -> tuple[str, str]:
    """The command, or as pstree has it, how many of it; and pid and user, the user where it is another one than above."""
    alone = len(group.pids) == 1
    notes = [str(group.pids[0])] if alone else []
    if group.user and group.user != above:
        notes.append(group.user)
    return (
        group.command if alone else f"{len(group.pids)}*[{group.command}]",
        f" ({', '.join(notes)})" if notes else "",
    )


def _ending(group: Group) -> tuple[str, str | None]:
    """How it ended, in words, and the colour of that."""
    if group.state == SUPERVISOR:
        return "", None
    if group.state == "spared":
        return f"spared ({group.reason or 'TREEKILL=spare'})", C.COLOR_WARN
    if group.state == "survivors":
        return f"survived: {group.reason}" if group.reason else "survived", C.COLOR_ERROR
    when = seconds(group.first, group.last, short=True)
    if group.ended == "KILL":
        return f"KILL after {when}", C.COLOR_CHANGED
    return (
        f"exited in {when}" if group.ended == "exited" else f"exited on {group.ended} in {when}"
    ), C.COLOR_OK
