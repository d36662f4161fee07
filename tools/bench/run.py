# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Program that measures every figure, and prints the table.

`make bench` runs it, or `python -m tools.bench.run [NAME...]` in the environment of the tests.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack

from ansible.release import __version__

from tests.support.hosts import Lab

from . import crowd, growth, guardian, many, overhead, speed, supervisor
from .figure import Figure

_COMMAND = "make bench"

#: Name: number of hosts that it needs, and the function that measures it.
MEASUREMENTS: dict[str, tuple[int, Callable[[Lab], Figure | Iterable[Figure]]]] = {
    "overhead": (2, overhead.measure),
    "xargs": (20, speed.twenty_against_xargs),
    "ansible": (20, speed.twenty_against_ansible),
    "one": (2, speed.one_against_ssh),
    "recap": (2, speed.one_until_recap),
    "channel": (2, speed.channel_until_gone),
    "supervisor": (2, supervisor.measure),
    "crowd": (2, crowd.measure),
    "guardian": (2, guardian.measure),
    "growth": (20, growth.of_twenty),
    "many": (2, lambda dummy: many.figures()),
}


def main() -> int:
    """Print the table as it grows. The status is 1 if a bound does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.run", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"which figures: {', '.join(MEASUREMENTS)}; all by default",
    )
    names = parser.parse_args().names or list(MEASUREMENTS)
    unknown = set(names) - set(MEASUREMENTS)
    if unknown:
        parser.error(f"no figure {', '.join(sorted(unknown))}")
    # As Ctrl-C does: what was started is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _say(
        f"Made by `{_COMMAND}`: ansible-core {__version__}, Python {platform.python_version()}, "
        f"{os.cpu_count()} CPUs.\n"
    )
    _say("| what | treekill.remote | baseline | ratio | limit | holds |\n|---|---|---|---|---|---|")
    all_hold = True
    with ExitStack() as stack:
        labs: dict[int, Lab] = {}
        for name in names:
            count, measure = MEASUREMENTS[name]
            if count not in labs:
                labs[count] = stack.enter_context(Lab.up(count=count, kind="namespace"))
            made = measure(labs[count])
            for figure in [made] if isinstance(made, Figure) else made:
                _say(figure.row)
                all_hold = all_hold and figure.holds
    return 0 if all_hold else 1


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
