# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gates that run side by side.

Each prints one line with its result, and its output only if it failed.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Sequence

from ._commands import SetupError
from ._gates import GATES, Gate, Notes
from ._lint_setup import Workshop, workshop
from ._setup import Ready


@dataclass(frozen=True)
class Outcome:
    """The result of one gate."""

    gate: Gate
    seconds: float
    notes: Notes = ()
    failure: str = ""


def lint(ready: Ready, names: Sequence[str]) -> int:
    """Run the named gates, or all, and return 1 if one failed."""
    unknown = [name for name in names if name not in GATES]
    if unknown:
        raise SetupError(f"no such gate: {', '.join(unknown)}. Gates: {', '.join(GATES)}")
    gates = [gate for gate in GATES.values() if gate.name in names or not names]
    place = workshop(ready)
    failed = []
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for done in as_completed([pool.submit(attempt, gate, place) for gate in gates]):
            outcome = done.result()
            report(outcome)
            if outcome.failure:
                failed.append(outcome.gate.name)
    result = f"failed: {', '.join(sorted(failed))}" if failed else "all ok"
    print(f"lint: {len(gates)} gates on {ready.core}: {result}", flush=True)
    return 1 if failed else 0


def attempt(gate: Gate, place: Workshop) -> Outcome:
    """Run one gate and measure it."""
    begun = time.monotonic()
    try:
        notes = gate.check(place)
    except SetupError as error:
        return Outcome(gate, time.monotonic() - begun, failure=str(error))
    return Outcome(gate, time.monotonic() - begun, notes=notes)


def report(outcome: Outcome) -> None:
    """Print one line, then the notes or the output."""
    print(
        f"{'FAILED' if outcome.failure else 'ok':6}  {outcome.gate.name:13} "
        f"{outcome.seconds:6.1f} s  {outcome.gate.about}",
        flush=True,
    )
    for note in outcome.notes:
        print(f"        note: {note}", flush=True)
    if outcome.failure:
        print("\n".join(f"        {line}" for line in outcome.failure.splitlines()), flush=True)


def names() -> None:
    """Print the gates."""
    for gate in GATES.values():
        print(f"{gate.name:13} {gate.about}")
