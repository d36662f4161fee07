# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""A round of `make endurance` has no fault; without the collection it has some."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.hosts import Lab
from tests.support.labs.lab_or_skip import lab_or_skip
from tests.support.run.run import program
from tests.support.trees.bystanders import Company, company
from tests.support.trees.table import rest
from tools.endurance import rounds
from tools.endurance.draw import HOSTS, Drawn, Step, draw

#: Seconds of a run, on a machine with two busy processors.
USUAL = 15.0

#: Seconds of a tree that does not end by itself while a test lasts.
LONG = 300.0

_PROGRAMS = {"chosen": Path(program("ansible-playbook"))}


@pytest.fixture(scope="module")
def among() -> Iterator[tuple[Lab, Company]]:
    """Four hosts, and the bystanders on them."""
    with ExitStack() as stack:
        lab = stack.enter_context(lab_or_skip(len(HOSTS)))
        bystanders = stack.enter_context(company(lab, [*lab], second=False))
        rounds.prepare([*lab])
        yield lab, bystanders


def played(
    among: tuple[Lab, Company],
    drawn: list[Drawn],
    keep: Path,
    *,
    collection: bool = True,
    gone_seconds: float = rounds.GONE_SECONDS,
) -> rounds.Outcome:
    """Play a round."""
    return rounds.play(
        *among, drawn, _PROGRAMS, USUAL, keep, collection=collection, gone_seconds=gone_seconds
    )


def test_without_the_collection_a_round_has_faults(
    among: tuple[Lab, Company], tmp_path: Path
) -> None:
    one = Drawn(
        1, "chosen", ("web1",), True, "linear", "no", False, (Step("tree", LONG),), "TERM", 1.0
    )
    outcome = played(among, [one], tmp_path / "kept", collection=False, gone_seconds=5.0)
    assert any("alive: " in fault and "tk-daemon" in fault for fault in outcome.faults), outcome
    assert (tmp_path / "kept/faults.txt").exists()


def test_a_run_that_is_harmed_is_a_fault(among: tuple[Lab, Company], tmp_path: Path) -> None:
    """As if nothing had befallen it: it was interrupted."""
    one = Drawn(
        1, "chosen", ("web1",), True, "linear", "no", False, (Step("tree", LONG),), "TERM", 0.5
    )
    outcome = played(among, [one], tmp_path / "kept")
    assert not outcome.faults, outcome.faults
    harmed = [replace(each, drawn=replace(one, trigger="")) for each in outcome.played]
    assert any("its status is" in fault for fault in rounds.harm(among[0], harmed[0]))


@pytest.mark.parametrize("number", [1, *(pytest.param(one, marks=rest) for one in range(2, 6))])
def test_a_round_has_no_fault(
    among: tuple[Lab, Company], tmp_path: Path, seed: int, number: int
) -> None:
    drawn = draw(seed, number, [*_PROGRAMS])
    outcome = played(among, drawn, tmp_path / "kept")
    assert not outcome.faults, "\n".join([f"kept in {tmp_path}", *outcome.faults])
