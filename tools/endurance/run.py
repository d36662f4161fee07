# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""Program that plays rounds until one has a fault.

It keeps all of that round, and prints the command that repeats it. `make endurance` runs it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import secrets
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from tests.support.hosts import Lab
from tests.support.trees.bystanders import company

from . import rounds
from .draw import HOSTS, draw

#: Cores and their folders of programs, as `2.21=/path:2.19=/path`.
CORES = "ENDURANCE_CORES"

#: Where what is wrong is kept, and the record of all rounds.
PLACE = Path(".cache/endurance")

#: Seconds of a run, before one was measured.
FIRST_GUESS = 15.0


def main() -> int:
    """Play the rounds. The status is 1 if something was wrong."""
    parser = argparse.ArgumentParser(prog="make endurance", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how many; default: 10")
    parser.add_argument("--seed", type=int, help="of all that is drawn; default: a new one")
    parser.add_argument("--first", type=int, default=1, help="number of the first round")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no round after that")
    parser.add_argument("--go-on", action="store_true", help="do not stop at a fault")
    options = parser.parse_args()
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    programs = cores()
    # As Ctrl-C does: what was started is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    say(f"seed {seed}; cores {', '.join(programs)}; docker tasks: not drawn, hosts have no engine")
    PLACE.mkdir(parents=True, exist_ok=True)
    usual, interrupted, faulty = FIRST_GUESS, 0, 0
    triggers: Counter[str] = Counter()
    began = time.monotonic()
    with Lab.up(count=len(HOSTS)) as lab, company(lab, [*lab], second=False) as bystanders:
        rounds.prepare([*lab])
        for number in range(options.first, options.first + options.rounds):
            if time.monotonic() - began > 60 * options.minutes:
                break
            drawn = draw(seed, number, [*programs])
            keep = PLACE / f"{seed}-{number}"
            outcome = rounds.play(lab, bystanders, drawn, programs, usual, keep)
            usual = outcome.usual or usual
            interrupted += outcome.interrupted
            triggers.update(one.drawn.trigger for one in outcome.played if one.befallen)
            record(seed, number, outcome)
            say(
                f"round {number}: {outcome.seconds:.1f} s, {outcome.interrupted} befallen, "
                f"{len(outcome.faults)} faults"
            )
            if outcome.faults:
                faulty += 1
                for fault in outcome.faults:
                    say(f"  {fault}")
                say(
                    f"kept in {keep}; repeat it: make endurance ROUNDS=1 SEED={seed} FIRST={number}"
                )
                if not options.go_on:
                    break
    hours = (time.monotonic() - began) / 3600
    say(f"{interrupted} runs befallen in {hours:.2f} h, {faulty} rounds with faults: ", end="")
    say(", ".join(f"{name} {count}" for name, count in triggers.most_common()))
    return 1 if faulty else 0


def cores() -> dict[str, Path]:
    """Return ansible-playbook of each core."""
    given = os.environ.get(CORES, "")
    if not given:
        raise SystemExit(f"{CORES} is not set: run this by `make endurance`")
    pairs = (pair.partition("=") for pair in given.split(":"))
    return {name: Path(folder) / "ansible-playbook" for name, dummy, folder in pairs}


def record(seed: int, number: int, outcome: rounds.Outcome) -> None:
    """Add a round to the record."""
    line = {
        "seed": seed,
        "round": number,
        "seconds": round(outcome.seconds, 1),
        "befallen": [one.drawn.trigger for one in outcome.played if one.befallen],
        "faults": outcome.faults,
    }
    with (PLACE / "record.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def say(text: str, end: str = "\n") -> None:
    """Print it at once."""
    sys.stdout.write(text + end)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
