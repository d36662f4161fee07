# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text from hosts as it may stand on a terminal: escaped, measured in columns, shortened."""

from __future__ import annotations

import functools
import unicodedata


def escaped(text: str) -> str:
    """As one line that looks on every terminal like what it is.

    Escaped as in Python's literals: control characters (a terminal obeys them), what has no shape or joins another's (format characters, marks), and
    what is written from right to left or makes others be, since that changes the order of what stands beside it.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_escaped, text))


@functools.lru_cache(maxsize=4096)
def _escaped(character: str) -> str:
    plain = (
        character.isprintable()
        and unicodedata.category(character)[0] != "M"
        and unicodedata.bidirectional(character) not in ("R", "AL", "AN")
    )
    return (
        character if plain else character.encode("unicode_escape", "surrogatepass").decode("ascii")
    )


def columns(text: str) -> int:
    """How many columns of a terminal escaped text takes: characters of East Asian scripts take two."""
    return (
        len(text)
        if text.isascii()
        else sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
    )


def shortened(text: str, width: int, ellipsis: str = "...") -> str:
    """Escaped text in at most `width` columns, the ellipsis included where something is left out."""
    if columns(text) <= width:
        return text
    kept, left = [], width - columns(ellipsis)
    for character in text:
        left -= columns(character)
        if left < 0:
            break
        kept.append(character)
    return "".join(kept) + ellipsis


def seconds(first: float, last: float, short: bool = False) -> str:
    """A time, or the times from the first to the last: C(0.1 s), C(0.1 to 0.4 s). `short`: hundredths below a tenth."""
    texts = [
        f"{max(time, 0.01):.2f}" if short and time < 0.095 else f"{time:.1f}"
        for time in (first, last)
    ]
    return f"{texts[0]} s" if texts[0] == texts[1] else f"{texts[0]} to {texts[1]} s"
