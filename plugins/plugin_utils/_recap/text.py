# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text of hosts, made fit for a terminal: escaped, measured in columns, and shortened."""

from __future__ import annotations

import functools
import unicodedata


def escaped(text: str) -> str:
    """Return the text as one line that looks the same on every terminal.

    Some characters are escaped as in Python's literals. A terminal obeys control characters. Format
    characters have no shape, and marks join another character. Characters that are written from
    right to left, or make others so, change the order of their neighbours.
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
    """Return how many columns of a terminal escaped text takes. East Asian characters take two."""
    return (
        len(text)
        if text.isascii()
        else sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
    )


def shortened(text: str, width: int, ellipsis: str = "...") -> str:
    """Return escaped text in at most `width` columns, with the ellipsis if it is cut."""
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
    """Return a time, or a range of times: C(0.1 s), C(0.1 to 0.4 s).

    `short`: with hundredths if it is below a tenth.
    """
    texts = [
        f"{max(time, 0.01):.2f}" if short and time < 0.095 else f"{time:.1f}"
        for time in (first, last)
    ]
    return f"{texts[0]} s" if texts[0] == texts[1] else f"{texts[0]} to {texts[1]} s"


def last_signal(ended: str) -> str:
    """Return the last signal that a process got, in words. `ended`: as in the report."""
    return "no signal" if ended == "exited" else ended
