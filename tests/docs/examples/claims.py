# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Claims of tests on pieces of the pages.

A test claims blocks and commands, and gets them as they stand on their page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from .pages import Piece, pieces


class NotOnThePage(AssertionError):
    """Error for a claim of what is on no page, or of what could mean several pieces."""


@dataclass(frozen=True)
class Claim:
    """A piece, by its page and some words of it.

    So it is found wherever it moves on its page.
    """

    words: str
    page: str = ""  #: empty for commands: they are equal on every page

    def of(self, found: Sequence[Piece]) -> list[Piece]:
        """Return what it claims: one block, or one command with all places where it stands.

        A command that is these words comes before those that have them.

        Raises NotOnThePage.
        """
        mine = [
            piece
            for piece in found
            if (piece.page == self.page if self.page else piece.language is None)
            and self.words in piece.text
        ]
        if not self.page:
            mine = [piece for piece in mine if piece.text == self.words] or mine
        if len({piece.text for piece in mine}) != 1:
            raise NotOnThePage(f"{self}: {[*map(str, mine)] or 'nothing'} has these words")
        return mine

    def __str__(self) -> str:
        return f"{self.page or 'a command'}, {self.words!r}"


def command(words: str) -> Claim:
    """Claim a command, wherever it stands."""
    return Claim(words)


def block(page: str, words: str) -> Claim:
    """Claim a block of a page."""
    return Claim(words, page)


#: Each claim, and the test that has made it.
CLAIMS: dict[Claim, str] = {}


class Documented:
    """The pieces that a test has claimed, to be unpacked in the order of its claims.

    `read`: whether they were; a test that has not looked at them runs something else.
    """

    def __init__(self, claims: Sequence[Claim]) -> None:
        self._claims = claims
        self.read = False

    def __iter__(self) -> Iterator[str]:
        self.read = True
        found = pieces()
        return iter([claim.of(found)[0].text for claim in self._claims])


def runs(*claims: Claim) -> Callable[[Callable[..., Any]], Any]:
    """Mark a test that runs these pieces. It gets their texts by its argument `documented`."""

    def register(test: Callable[..., Any]) -> Any:
        CLAIMS.update(dict.fromkeys(claims, f"{test.__module__}.{test.__qualname__}"))
        return pytest.mark.parametrize(
            "documented", [pytest.param(Documented(claims), id="as it stands")]
        )(test)

    return register


def unclaimed(found: Sequence[Piece], claims: Iterable[Claim]) -> list[str]:
    """Return the pieces that no test runs."""
    claimed: set[Piece] = set()
    for claim in claims:
        try:
            claimed.update(claim.of(found))
        except NotOnThePage:
            continue  # `idle` reports that.
    return [str(piece) for piece in found if piece not in claimed]


def idle(found: Sequence[Piece], claims: Iterable[Claim]) -> list[str]:
    """Return the claims that have no piece, or several."""
    told = []
    for claim in claims:
        try:
            claim.of(found)
        except NotOnThePage as reason:
            told.append(str(reason))
    return told
