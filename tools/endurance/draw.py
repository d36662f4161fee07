# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""The draw of a round from its seed and its number alone: ten runs, and events for five."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from . import triggers

RUNS, BEFALLEN = 10, 5

HOSTS = ("web1", "web2", "web3", "web4")

#: The host of runs that lose it, with its network or its power. No other run of the round is there.
LOST_HOST = "web4"

BECOME = ("no", "root", "other")

#: Kinds of tasks. Only one run of a round installs the package on a host: dpkg has one lock.
KINDS = ("tree", "tree", "loop", "copy", "async", "always", "package")

#: Part of the usual time of a run at which the last interruption comes: some have ended then.
LATEST = 1.2


@dataclass(frozen=True)
class Step:
    """One task, or one block, of a run."""

    kind: str
    lasts: float  #: seconds that its tree lives, if it has one


@dataclass(frozen=True)
class Drawn:
    """One run of a round."""

    number: int
    core: str
    hosts: tuple[str, ...]
    pipelining: bool
    strategy: str
    become: str
    run_always: bool
    steps: tuple[Step, ...]
    trigger: str  #: a key of `triggers.TRIGGERS`; empty if nothing befalls it
    at: float  #: part of the usual time of a run

    def __str__(self) -> str:
        words = [
            f"run {self.number} on {'+'.join(self.hosts)}, core {self.core}",
            "pipelining" if self.pipelining else "tty",
            self.strategy,
            f"become {self.become}",
            *(["run_always"] if self.run_always else []),
            " ".join(step.kind for step in self.steps),
        ]
        if self.trigger:
            words.append(f"{self.trigger} at {self.at:.2f}")
        return ", ".join(words)


def draw(seed: int, number: int, cores: Sequence[str]) -> list[Drawn]:
    """Return the runs of a round. Those that nothing befalls come last."""
    rng = random.Random(f"{seed} {number}")
    drawn: list[Drawn] = []
    names = sorted(triggers.TRIGGERS)
    lost = False
    with_package: set[str] = set()
    for index in range(RUNS):
        trigger = rng.choice(names) if index < BEFALLEN else ""
        while lost and trigger and triggers.TRIGGERS[trigger].host:
            trigger = rng.choice(names)
        loses_host = bool(trigger) and triggers.TRIGGERS[trigger].host
        lost = lost or loses_host
        usual = HOSTS[:-1]
        hosts = (LOST_HOST,) if loses_host else tuple(rng.sample(usual, rng.choice((1, 1, 2))))
        steps = []
        for dummy in range(rng.choice((2, 3))):
            kind = rng.choice(KINDS)
            if kind == "package":
                if loses_host or with_package & {*hosts} or len(hosts) > 1:
                    kind = "tree"
                else:
                    with_package |= {*hosts}
            steps.append(Step(kind, round(rng.uniform(0.2, 1.5), 2)))
        if not any(step.kind in ("tree", "async", "always") for step in steps):
            steps.append(Step("tree", round(rng.uniform(0.2, 1.5), 2)))
        drawn.append(
            Drawn(
                index + 1,
                rng.choice(list(cores)),
                hosts,
                rng.random() < 0.5,
                _strategy(rng.choice(("linear", "free")), trigger),
                rng.choice(BECOME),
                rng.random() < 0.5,
                tuple(steps),
                trigger,
                rng.uniform(0.05, LATEST),
            )
        )
    return drawn


def _strategy(drawn: str, trigger: str) -> str:
    return "linear" if trigger == triggers.KILLED_WORKER else drawn
