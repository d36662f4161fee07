# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One figure of the table.

It has two medians that were measured by turns, their ratio, and the bound that it has to keep.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A line of the table."""

    what: str
    ours: str
    baseline: str
    ratio: str
    bound: str
    holds: bool

    @property
    def row(self) -> str:
        """The line in Markdown."""
        return (
            f"| {self.what} | {self.ours} | {self.baseline} | {self.ratio} | {self.bound} | "
            f"{'yes' if self.holds else '**no**'} |"
        )


def by_turns(
    ours: Callable[[], float], baseline: Callable[[], float], pairs: int
) -> tuple[list[float], list[float]]:
    """Measure both in pairs whose order alternates.

    So other work on the machine slows both equally.
    """
    mine: list[float] = []
    its: list[float] = []
    for number in range(pairs):
        turns = [(ours, mine), (baseline, its)]
        for measure, into in turns if number % 2 == 0 else reversed(turns):
            into.append(measure())
    return mine, its


def compared(
    what: str,
    baseline: str,
    mine: Sequence[float],
    its: Sequence[float],
    bound: float,
    *,
    faster: bool = False,
) -> Figure:
    """Return the figure of two series in seconds.

    It is ours to the baseline's, at most `bound`. With `faster`, it is the baseline's to ours, at
    least `bound`.
    """
    ratios = [
        theirs / own if faster else own / theirs for own, theirs in zip(mine, its, strict=True)
    ]
    ratio = statistics.median(ratios)
    return Figure(
        what,
        seconds(statistics.median(mine)),
        f"{baseline}: {seconds(statistics.median(its))}",
        f"{ratio:.2f}" + (" times faster" if faster else ""),
        f"at least {bound:g}" if faster else f"at most {bound:g}",
        ratio >= bound if faster else ratio <= bound,
    )


def seconds(value: float) -> str:
    """Return it as people write it."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"
