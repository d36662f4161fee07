# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks in a chroot.

Their processes are those of the controller's own machine, below the worker, and there is no client.
"""

from __future__ import annotations

import pytest

from tests.support.coverage import covers
from tests.support.run.control import play_control
from tests.support.trees import tree
from tests.support.trees.bystanders import Companies, Company
from tests.support.trees.rows import play_row
from tests.support.trees.table import Took, assert_nothing_survived, rest
from tests.support.trees.triggers import INT, KILL, Trigger

from .containers import TransportLab
from .ends import ENDS, fire_of, setting_of

PLUGIN = "community.general.chroot"


@pytest.fixture
def among(chroot_lab: TransportLab, companies: Companies) -> Company:
    """Bystanders in it."""
    return companies.on(chroot_lab)


ROWS = [
    pytest.param(
        trigger,
        pipelining,
        id=f"{trigger.name}, {'pipelining' if pipelining else 'files'}",
        marks=[
            covers("Connections", PLUGIN, ENDS[trigger]),
            *([] if pipelining and trigger is not KILL else [rest]),
        ],
    )
    for trigger in ENDS
    for pipelining in (False, True)
]


@pytest.mark.parametrize(("trigger", "pipelining"), ROWS)
def test_nothing_survives(among: Company, trigger: Trigger, pipelining: bool, took: Took) -> None:
    outcome = play_row(
        among, setting_of(trigger, pipelining=pipelining), trigger, fire=fire_of(trigger)
    )
    took(outcome.seconds)
    assert_nothing_survived(outcome, trigger)


@pytest.mark.parametrize(
    "trigger",
    [
        pytest.param(trigger, id=trigger.name, marks=[covers("Connections", PLUGIN, end), rest])
        for trigger, end in ENDS.items()
    ],
)
def test_nothing_that_can_be_found_survives_without_a_supervisor(
    among: Company, trigger: Trigger, took: Took
) -> None:
    setting = setting_of(trigger, pipelining=False, supervise=False, kinds=tree.UNSUPERVISED)
    outcome = play_row(among, setting, trigger, fire=fire_of(trigger))
    took(outcome.seconds)
    assert_nothing_survived(outcome, trigger)


def test_a_process_that_is_to_be_spared_lives_below_its_worker(among: Company, took: Took) -> None:
    """Elsewhere, what is below a worker is a client, and is ended with it."""
    spared = frozenset({"spared"})
    outcome = play_row(
        among, setting_of(INT, pipelining=True, kinds=(*tree.COOPERATIVE, *spared)), INT, but=spared
    )
    took(outcome.seconds)
    assert outcome.alive == spared, f"alive: {outcome.survivors}\n{outcome.story}"
    assert not outcome.dead, f"bystanders died: {', '.join(outcome.dead)}\n{outcome.story}"
    assert outcome.status == INT.status, outcome.story


@pytest.mark.parametrize(
    "trigger", [pytest.param(INT, id=INT.name), pytest.param(KILL, id=KILL.name, marks=rest)]
)
def test_without_the_collection_the_tree_survives(
    chroot_lab: TransportLab, trigger: Trigger
) -> None:
    """The control."""
    remains = play_control(chroot_lab, setting_of(trigger, pipelining=True), trigger)
    assert remains.survivors >= {*tree.DAEMONS}, remains.story


# Each takes long: `make coverage` runs them.
pytestmark = pytest.mark.rest
