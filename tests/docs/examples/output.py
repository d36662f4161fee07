# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Output on a page, compared with what was printed.

Numbers, times, and how each process ended may differ.
"""

from __future__ import annotations

import re


def assert_printed(block: str, printed: str) -> None:
    """Assert that every line of the block is there, in its order.

    `...` stands for lines that the page leaves out.
    """
    there = iter(_plain(printed))
    for line in _plain(block):
        if line != "...":
            assert line in there, f"{line!r} is not printed there:\n{printed}"


def _plain(text: str) -> list[str]:
    lines = [
        re.sub(r"\d+(\.\d+)?", "N", re.sub(r"ended \d+ \([^)]*\)", "ended N (HOW)", line))
        for line in text.splitlines()
    ]
    return [" ".join(line.split()) for line in lines if line.strip()]
