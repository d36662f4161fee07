# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The final screen of a program that wrote to a terminal, as lines of text in colours.

It can be drawn as SVG.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

#: Control sequences that a run writes: colours (SGR), and the removal of a line (EL). Others can't
#: be on this screen.
_SEQUENCE = re.compile(r"\x1b\[([0-9;]*)([mK])|(\r)|(\n)|([^\x1b\r\n]+)")

_PALETTE = ("#3b4048", "#e06c75", "#8cc265", "#d5a05c", "#61afef", "#c678dd", "#4fb8c4", "#abb2bf")
#: A blank that no browser leaves out.
_BLANK = "\N{NO-BREAK SPACE}"
_FOREGROUND, _BACKGROUND, _BAR = "#c8ccd4", "#1e2227", "#2c313a"

#: Pixels.
_CELL, _LINE, _MARGIN, _TITLE = 8.0, 18, 14, 28


@dataclass(frozen=True)
class Cell:
    """One character in its colour."""

    character: str
    color: str = _FOREGROUND
    bold: bool = False


def screen(written: str, columns: int) -> list[list[Cell]]:
    """Return the lines of a screen of so many columns.

    Raises ValueError for what a run never writes.
    """
    lines: list[list[Cell]] = [[]]
    column, color, bold, end = 0, _FOREGROUND, False, 0
    for match in _SEQUENCE.finditer(written):
        if match.start() != end:
            raise ValueError(f"not known: {written[end : match.start()]!r}")
        end = match.end()
        parameters, command, back, feed, text = match.groups()
        if command == "m":
            color, bold = _style(parameters, color, bold)
        elif command == "K":
            del lines[-1][column:]
        elif back:
            column = 0
        elif feed:
            lines.append([])
            column = 0
        else:
            cells = [Cell(character, color, bold) for character in text]
            lines[-1][column : column + len(cells)] = cells
            column += len(cells)
            while len(lines[-1]) > columns:
                lines.append(lines[-1][columns:])
                del lines[-2][columns:]
                column = len(lines[-1])
    return lines


def _style(parameters: str, color: str, bold: bool) -> tuple[str, bool]:
    for number in map(int, (parameters or "0").split(";")):
        if number == 0:
            color, bold = _FOREGROUND, False
        elif number == 1:
            bold = True
        elif 30 <= number <= 37:
            color = _PALETTE[number - 30]
        elif 90 <= number <= 97:
            color = _PALETTE[number - 90]
    return color, bold


def svg(lines: Sequence[Sequence[Cell]], columns: int, title: str) -> str:
    """Return the screen as a picture, in whatever fixed font there is.

    Each run of one colour is put in its place, and has the width that it should have.
    """
    width, height = columns * _CELL + 2 * _MARGIN, len(lines) * _LINE + 2 * _MARGIN + _TITLE
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">'
        ),
        f"<title>{escape(title)}</title>",
        f'<rect width="100%" height="100%" rx="8" fill="{_BACKGROUND}"/>',
        (
            f'<path d="M0 {_TITLE}V8a8 8 0 0 1 8-8H{width - 8:.0f}a8 8 0 0 1 8 8v{_TITLE - 8}z" '
            f'fill="{_BAR}"/>'
        ),
        *(
            f'<circle cx="{18 + 18 * index}" cy="14" r="5" fill="{color}"/>'
            for index, color in enumerate(("#e06c75", "#d5a05c", "#8cc265"))
        ),
        (
            "<g font-family=\"ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans "
            f'Mono\',monospace" font-size="13" fill="{_FOREGROUND}">'
        ),
    ]
    for index, line in enumerate(lines):
        parts += _texts(line, _TITLE + _MARGIN + index * _LINE + 13)
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _texts(line: Sequence[Cell], y: int) -> list[str]:
    texts, start, at = [], 0, 0
    while start < len(line):
        end = start
        while end < len(line) and (line[end].color, line[end].bold) == (
            line[start].color,
            line[start].bold,
        ):
            end += 1
        text = "".join(cell.character for cell in line[start:end])
        wide = sum(
            2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text
        )
        if text.strip():
            look = ("" if line[start].color == _FOREGROUND else f' fill="{line[start].color}"') + (
                ' font-weight="bold"' if line[start].bold else ""
            )
            x = _MARGIN + at * _CELL
            texts.append(
                f'<text x="{x:g}" y="{y}" textLength="{wide * _CELL:g}" '
                f'lengthAdjust="spacingAndGlyphs"{look}>{escape(text).replace(" ", _BLANK)}</text>'
            )
        start, at = end, at + wide
    return texts
