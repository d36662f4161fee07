# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The content of the project's pages: fenced blocks, and commands.

Commands are in `shell` blocks and in running text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

_PLACES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**/*.md", "roles/*/README.md")

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")

#: With a word behind it, what begins so is a command, and not the name of a program.
_PROGRAM = re.compile(
    r"(make|export|exec|timeout|nohup|python3?|pip3?|jq|git|docker|podman|ansible(-[a-z]+)?) \S"
)

_SHELLS = ("shell", "sh", "bash", "console")


@dataclass(frozen=True)
class Piece:
    """A piece of a page that has to be true.

    It is a block with its language, or a command, whose language is empty.
    """

    page: str
    line: int
    text: str
    language: str | None = None  #: None for a command, empty for a block that names none

    def __str__(self) -> str:
        return (
            f"{self.page}:{self.line}: "
            f"{self.text.splitlines()[0] if self.text else 'an empty block'}"
        )


def pages() -> list[str]:
    """Return all of them, below the root of the repository."""
    return sorted({str(path.relative_to(ROOT)) for place in _PLACES for path in ROOT.glob(place)})


def pieces() -> list[Piece]:
    """Return all blocks and commands of all pages."""
    return [
        piece
        for page in pages()
        for piece in pieces_of(page, (ROOT / page).read_text(encoding="utf-8"))
    ]


def pieces_of(page: str, text: str) -> list[Piece]:
    """Return those of one page, in its order.

    A block is returned without its indentation, a `shell` block as its commands.

    Raises AssertionError if a fence is written in a way that is not read here.
    """
    found: list[Piece] = []
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        block = re.sub(rf"^{match[1]}", "", match[3], flags=re.MULTILINE)
        if match[2] in _SHELLS:
            found += [Piece(page, line + number, command) for number, command in _commands(block)]
        else:
            found.append(Piece(page, line, block, match[2]))
    # As many lines as before: a piece has to be found again by its number.
    prose = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
    assert "```" not in prose, f"{page}: a fence that is not on a line of its own, or has no end"
    for match in _INLINE.finditer(prose):
        if _PROGRAM.match(match[1]):
            found.append(
                Piece(page, prose.count("\n", 0, match.start()) + 1, match[1].replace(r"\|", "|"))
            )
    return sorted(found, key=lambda piece: piece.line)


def _commands(block: str) -> Iterable[tuple[int, str]]:
    """Return the command lines of a `shell` block, by the number of the line.

    A line that ends with a backslash goes on.
    """
    begun, whole = 0, ""
    for number, line in enumerate(block.splitlines(), 1):
        begun, whole = (begun, f"{whole}\n{line}") if whole else (number, line)
        if not line.endswith("\\"):
            if whole.strip() and not whole.startswith("#"):
                yield begun, whole
            whole = ""
