# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Program that measures how the kill grows with the number of hosts, beside a kill by hand.

`python -m tools.bench.growth --hosts 1,5,20` in the environment of the tests. Both kill the same
tree on the same hosts, by turns. `--write` puts table and picture into docs.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.support.hosts import Host, Lab

from .chart import chart
from .figure import Figure, by_turns, compared, seconds
from .processor_time import ProcessorTime
from .speed import Scene, interrupt, standing, xargs_pkill
from .watch import Watch

_DOCS = Path(__file__).parents[2] / "docs"
_PAGE, _PICTURE = _DOCS / "figures.md", _DOCS / "growth.svg"
_BEGIN, _END = "<!-- from python -m tools.bench.growth -->", "<!-- until here -->"

_LINK = (
    "![Seconds from the trigger until the last process is gone, by number of hosts]"
    "(https://raw.githubusercontent.com/treekill/remote/main/docs/growth.svg)"
)

_REPETITIONS = 5

#: Seconds for the recap, and for each host of it.
_RECAP_SECONDS, _RECAP_SECONDS_FOR_A_HOST = 60.0, 2.0

#: The greatest ratio to a kill by hand for 20 hosts without pipelining.
_TWENTY_LIMIT = 1.3

_HEAD = (
    "| hosts | pipelining | last process gone | by hand | ratio | recap after | controller: "
    "processor time | by hand | hosts: processor time | by hand | load |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Kill:
    """One kill of all trees. Times are in seconds."""

    gone: float
    #: Until the run has ended with a recap that names each host; None for a kill by hand, and
    #: infinite if there is no such recap.
    recap: float | None
    #: Processor time from the trigger until the last process is gone.
    controller: float
    hosts: float


@dataclass(frozen=True)
class Growth:
    """The kills of both with one number of hosts."""

    count: int
    pipelining: bool
    ours: Sequence[Kill]
    by_hand: Sequence[Kill]
    load: float

    @property
    def ratio(self) -> float:
        """The median of the ratios of two kills that were measured beside each other."""
        pairs = zip(self.ours, self.by_hand, strict=True)
        return statistics.median(mine.gone / its.gone for mine, its in pairs)

    @property
    def row(self) -> str:
        """The line of the table in Markdown."""
        recaps = [kill.recap for kill in self.ours if kill.recap is not None]
        complete = sum(recap != float("inf") for recap in recaps)
        recap = (
            _median(recaps)
            if complete == len(recaps)
            else f"**complete in {complete} of {len(recaps)}**"
        )
        cells = [
            str(self.count),
            "yes" if self.pipelining else "no",
            _median([kill.gone for kill in self.ours]),
            _median([kill.gone for kill in self.by_hand]),
            f"{self.ratio:.2f}",
            recap,
            *(
                _median([getattr(kill, side) for kill in kills])
                for side in ("controller", "hosts")
                for kills in (self.ours, self.by_hand)
            ),
            f"{self.load:.1f}",
        ]
        return f"| {' | '.join(cells)} |"


def _median(values: Sequence[float]) -> str:
    """Return the median, with the least and the greatest value."""
    middle = statistics.median(values)
    if not middle:
        return ""
    return f"{seconds(middle)} ({seconds(min(values))} to {seconds(max(values))})"


def measured(lab: Lab, count: int, pipelining: bool, repetitions: int) -> Growth:
    """Measure both by turns on the first `count` hosts of the lab."""
    hosts, load = [*lab][:count], os.getloadavg()[0]
    ours: list[Kill] = []
    by_hand: list[Kill] = []
    with ProcessorTime(lab) as used:

        def one(end: Callable[[Scene], None], into: list[Kill], *, collection: bool) -> float:
            into.append(_kill(lab, hosts, end, used, pipelining, collection=collection))
            return into[-1].gone

        by_turns(
            lambda: one(interrupt, ours, collection=True),
            lambda: one(xargs_pkill, by_hand, collection=False),
            repetitions,
        )
    return Growth(count, pipelining, ours, by_hand, load)


def _kill(
    lab: Lab,
    hosts: Sequence[Host],
    end: Callable[[Scene], None],
    used: ProcessorTime,
    pipelining: bool,
    *,
    collection: bool,
) -> Kill:
    with ExitStack() as stack:
        scene, victims = stack.enter_context(
            standing(hosts, lab, collection=collection, supervise=True, pipelining=pipelining)
        )
        watch = stack.enter_context(Watch(victims))
        controller, on_hosts = used.now()
        began = time.monotonic()
        end(scene)
        watch.wait()
        gone = time.monotonic() - began
        controller_then, on_hosts_then = used.now()
        recap = _recap(scene, began) if collection else None
    return Kill(gone, recap, controller_then - controller, on_hosts_then - on_hosts)


def _recap(scene: Scene, began: float) -> float:
    """Return the seconds until the run has ended with a recap of each host; infinite if not."""
    count = len(scene.hosts)
    scene.run.wait(_RECAP_SECONDS + _RECAP_SECONDS_FOR_A_HOST * count)
    took = time.monotonic() - began
    named = re.findall(r"^\S+ +: ended \d+ .*survivors 0", scene.run.errors, re.MULTILINE)
    return took if len(named) == count else float("inf")


def of_twenty(lab: Lab) -> Figure:
    """Measure twenty hosts without pipelining, for the table of all figures."""
    growth = measured(lab, 20, False, _REPETITIONS)
    return compared(
        "20 hosts in flight, a terminal on the host (no pipelining), a cooperative tree: from the "
        "trigger until the last process is gone",
        "`xargs -P20 ssh HOST pkill` over warm ControlMasters",
        [kill.gone for kill in growth.ours],
        [kill.gone for kill in growth.by_hand],
        _TWENTY_LIMIT,
    )


def picture(rows: Sequence[Growth]) -> str:
    """Return the picture of the growth."""
    lines = {}
    for pipelining in (True, False):
        words = "pipelining" if pipelining else "no pipelining"
        of_these = [row for row in rows if row.pipelining is pipelining]
        for name, kills_of in (("treekill.remote", "ours"), ("by hand", "by_hand")):
            lines[f"{name}, {words}"] = [
                (row.count, statistics.median(kill.gone for kill in getattr(row, kills_of)))
                for row in of_these
            ]
    return chart(
        "Seconds from the trigger until the last process is gone, by number of hosts",
        "hosts",
        "seconds",
        {name: line for name, line in lines.items() if line},
    )


def main() -> int:
    """Print the table as it grows. With `--write`, write it and the picture into docs."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.growth", description=__doc__)
    parser.add_argument("--hosts", default="1,5,20,50,100,200", metavar="N,N,...")
    parser.add_argument("--repetitions", type=int, default=_REPETITIONS, metavar="N")
    parser.add_argument(
        "--write", action="store_true", help="write docs/figures.md and the picture"
    )
    asked = parser.parse_args()
    counts = [int(count) for count in asked.hosts.split(",")]
    rows = []
    _say(_HEAD)
    with Lab.up(count=max(2, *counts), kind="namespace") as lab:
        for count in counts:
            for pipelining in (True, False):
                rows.append(measured(lab, count, pipelining, asked.repetitions))
                _say(rows[-1].row)
    if asked.write:
        _PICTURE.write_text(picture(rows))
        before, dummy, rest = _PAGE.read_text().partition(_BEGIN)
        after = rest.partition(_END)[2]
        table = "\n".join([_HEAD, *(row.row for row in rows)])
        _PAGE.write_text(f"{before}{_BEGIN}\n{table}\n\n{_LINK}\n{_END}{after}")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
