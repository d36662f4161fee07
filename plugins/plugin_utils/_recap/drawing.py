# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process tree, drawn as pstree does, for a terminal of some width.

Each process has a text that says how it ended. Pure.
"""

from __future__ import annotations

import collections
import dataclasses
import textwrap
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._core.display import C
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.text import (
    columns,
    last_signal,
    seconds,
    shortened,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.tree import SUPERVISOR, Group

#: Columns that a command gets even on the narrowest screen. If its ending does not fit beside it,
#: the ending gets a line of its own.
_MIN_COMMAND_COLUMNS = 16

#: Columns that a command gets on the widest screen. Otherwise its ending would be too far away to
#: be seen.
_MAX_COMMAND_COLUMNS = 100


@dataclasses.dataclass(frozen=True)
class Screen:
    """The terminal or file that a tree is drawn on."""

    #: Columns. This many if the width is not known, as in the log of a CI job.
    width: int = 160
    #: Whether it shows lines and arrows. Otherwise it shows only ASCII.
    unicode: bool = True
    #: How often the user gave C(-v). One draws more lines. Two draw all of them, and each process
    #: by itself.
    verbosity: int = 0
    #: Whether text that is wider than the screen is wrapped. The log of a job keeps it in one line.
    wraps: bool = False

    @property
    def lines(self) -> int | None:
        """The maximum number of lines of a tree."""
        return (24, 400, None)[min(self.verbosity, 2)]

    @property
    def ellipsis(self) -> str:
        """The sign for omitted text."""
        return "…" if self.unicode else "..."


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the recap, and the colour in which Ansible shows such news."""

    text: str
    color: str | None = None
    #: The line for the file of `log_path`, if it differs. That file is not private, so it gets no
    #: command line. Empty: no line.
    log: str | None = None
    #: Whether it may be wrapped. A command to copy may not.
    wraps: bool = False
    #: Whether it is the verdict.
    ends: bool = False


@dataclasses.dataclass
class _Drawn:
    """A group in its position, with the texts of its lines.

    `before` is the text left of it, and `under` the text left of the lines below it.
    """

    before: str
    under: str
    text: str
    #: Pid and user. They follow the text, and are never cut off.
    note: str
    ending: str
    color: str | None

    def fitted(self, width: int, ellipsis: str) -> str:
        """Return text and note in that many columns, if the note leaves any."""
        return (
            shortened(self.text, max(width - columns(self.note), _MIN_COMMAND_COLUMNS), ellipsis)
            + self.note
        )


def draw(top: t.Sequence[Group], screen: Screen, indent: str = "  ") -> list[Line]:
    """Return the lines of one tree, or of several trees side by side."""
    shown = _shown(top, screen.lines)
    drawn = list(_place(top, shown, screen, indent))
    endings = [columns(one.ending) for one in drawn if one.color != C.COLOR_ERROR]
    room = screen.width - max(endings, default=0) - 2
    left = max((columns(one.before + one.text + one.note) for one in drawn), default=0)
    width = min(left, room, _MAX_COMMAND_COLUMNS)
    return [line for one in drawn for line in _lines(one, width, screen)]


def wrapped(line: Line, screen: Screen) -> list[Line]:
    """Return the line as several, wrapped at words, if the screen asks for that.

    The further ones are indented as what follows the name of a host.
    """
    if not (screen.wraps and line.wraps and columns(line.text) > screen.width):
        return [line]
    before = len(line.text) - len(line.text.lstrip())
    name, colon, dummy = line.text.partition(" : ")
    indent = min(columns(name + colon) if colon else before + 2, screen.width // 2)
    texts = textwrap.wrap(
        line.text,
        screen.width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    log = line.text if line.log is None else line.log
    return [
        Line(text, line.color, "" if index else log, ends=line.ends)
        for index, text in enumerate(texts or [""])
    ]


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
    # The screen is too narrow for both, so the ending follows below the command.
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
    """Return the ids (id()) of the groups that are drawn.

    These are the groups of survivors with all groups above them. The others follow level by level,
    as long as there is room.
    """
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
    """Return all groups, level by level, and the group above each one by its id()."""
    levels: list[Group] = [*top]
    above: dict[int, Group | None] = {id(group): None for group in top}
    for group in levels:
        levels += group.below
        above.update((id(one), group) for one in group.below)
    return levels, above


def _place(
    top: t.Sequence[Group], shown: set[int], screen: Screen, indent: str
) -> t.Iterator[_Drawn]:
    """Yield each line in its position.

    A waiting item is a group, or the text that stands for several. With it go the text left of it,
    its branch, and the user above it.
    """
    fork, corner, rail = ("├─", "└─", "│ ") if screen.unicode else ("|-", "`-", "| ")
    waiting: list[tuple[Group | str, str, str, str]] = [
        (item, indent, "", "") for item in reversed(_items(top, shown))
    ]
    while waiting:
        item, indent, joint, user = waiting.pop()
        # No reader counts the levels of a long chain, and each level costs two columns. Beyond half
        # of the screen there is no further indent.
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
    """Return the groups that are drawn side by side, and one text for the others."""
    items: list[Group | str] = [group for group in groups if id(group) in shown]
    endings: collections.Counter[str] = collections.Counter()
    for group in groups:
        if id(group) not in shown:
            for one in group.with_descendants():
                endings[last_signal(one.ended) if one.ended else one.state] += len(one.pids)
    if endings:
        how = ", ".join(f"{ending} {number}" for ending, number in sorted(endings.items()))
        items.append(f"and {endings.total()} more ({how}); -vv draws all")
    return items


def _named(group: Group, above: str) -> tuple[str, str]:
    """Return command and note of a group.

    Like pstree, it counts equal commands. The note has the pid of a single process, and the user if
    the group above has another one.
    """
    alone = len(group.pids) == 1
    notes = [str(group.pids[0])] if alone else []
    if group.user and group.user != above:
        notes.append(group.user)
    return (
        group.command if alone else f"{len(group.pids)}*[{group.command}]",
        f" ({', '.join(notes)})" if notes else "",
    )


def _ending(group: Group) -> tuple[str, str | None]:
    """Return how it ended, in words, and the colour for it."""
    if group.state == SUPERVISOR:
        return "", None
    if group.state == "spared":
        return f"spared ({group.reason or 'TREEKILL=spare'})", C.COLOR_WARN
    if group.state == "survivors":
        return f"survived: {group.reason}" if group.reason else "survived", C.COLOR_ERROR
    if group.state == "finishing":
        return "left to finish", C.COLOR_WARN
    when = seconds(group.first, group.last, short=True)
    if group.ended == "KILL":
        return f"KILL after {when}", C.COLOR_CHANGED
    # Only its parent could read whether it exited or died of a signal, and of which.
    return (
        f"ended in {when}" if group.ended == "exited" else f"ended on {group.ended} in {when}"
    ), C.COLOR_OK
