# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guardian with 1,000 hosts in flight, which are made up: a hundredth is dead, another hangs.

`make bench` measures it. `python -m tools.bench.many 900 1024` does so with another number of hosts
and another limit of descriptors.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.run.made_up_run import Seen, measured

from .figure import Figure, seconds

_HOSTS = 1000

#: Limits of descriptors, as on most systems. The guardian raises the soft one to the hard one.
_SOFT, _HARD = 1024, 4096

_MEMORY_MIB = 40.0

#: The number of hosts beside which the processor time is measured, for its growth.
_FEWER = 4
_GROWTH = 1.5


def figures() -> Iterator[Figure]:
    """Measure the guardian with all hosts, and with a quarter of them."""
    few, all_of_them = _seen(_HOSTS // _FEWER), _seen(_HOSTS)
    yield Figure(
        f"guardian: private memory, {_HOSTS:,} hosts in flight and then ended",
        f"{all_of_them.guardian_memory:.1f} MiB, {all_of_them.guardian_descriptors} descriptors",
        "",
        "",
        f"at most {_MEMORY_MIB:g} MiB",
        all_of_them.guardian_memory <= _MEMORY_MIB,
    )
    growth = all_of_them.guardian_seconds / (few.guardian_seconds * _FEWER)
    yield Figure(
        f"guardian: processor time to end {_HOSTS:,} hosts",
        seconds(all_of_them.guardian_seconds),
        f"{_FEWER} times that of {_HOSTS // _FEWER} hosts: "
        f"{seconds(few.guardian_seconds * _FEWER)}",
        f"{growth:.2f}",
        f"at most {_GROWTH:g}",
        growth <= _GROWTH,
    )
    answered = [host for host in all_of_them.outcomes if host.startswith("host")]
    confirmed = sum(all_of_them.outcomes[host] == "confirmed" for host in answered)
    yield Figure(
        f"{_HOSTS:,} hosts in flight, 10 of them dead and 10 hanging: hosts with a confirmed end",
        f"{confirmed} of {len(answered)} that answer; the last order after "
        f"{seconds(max(all_of_them.orders.values()))}",
        "",
        "",
        "all",
        confirmed == len(answered),
    )


def _seen(count: int, hard: int = _HARD) -> Seen:
    kinds = {3: "hanging", 7: "dead"}
    hosts = [f"{kinds.get(number % 100, 'host')}{number}" for number in range(count)]
    place = f"{Path(__file__).parents[2]}:{os.environ['ANSIBLE_COLLECTIONS_PATH']}"
    return measured(hosts, place, descriptors=(_SOFT, hard))


def main() -> int:
    """Print what was seen of one number of hosts."""
    seen = _seen(*(map(int, sys.argv[1:]) if len(sys.argv) > 1 else [_HOSTS]))
    orders = sorted(seen.orders.values())
    outcomes = sorted({*seen.outcomes.values()})
    lines = [
        f"{len(orders)} orders, the last after {orders[-1]:.1f} s",
        f"report after {seen.report:.1f} s",
        *(f"{sum(one == name for one in seen.outcomes.values())} {name}" for name in outcomes),
        f"at most {seen.silence:.1f} s between two messages to the main process",
        f"guardian: {seen.guardian_memory:.1f} MiB, {seen.guardian_descriptors} descriptors",
        f"guardian: {seen.guardian_seconds:.1f} s of processor time",
        f"main process: {seen.main_memory:.1f} MiB, {seen.main_descriptors} descriptors",
        f"load: {os.getloadavg()[0]:.1f}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
