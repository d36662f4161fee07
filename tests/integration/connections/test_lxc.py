# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks in a container of LXC.

Their processes are below the worker, as in a chroot, and see a process table of their own. The
plugin does not close the input of a command: so there is no pipelining.
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
from .test_container_pulse import LOST

PLUGIN = "community.general.lxc"


@pytest.fixture
def among(lxc_lab: TransportLab, companies: Companies) -> Company:
    """Bystanders in it."""
    return companies.on(lxc_lab)


ROWS = [
    pytest.param(
        trigger,
        supervise,
        id=f"{trigger.name}, {'supervisor' if supervise else 'no supervisor'}",
        marks=[
            covers("Connections", PLUGIN, ENDS[trigger]),
            *([] if supervise and trigger is INT else [rest]),
        ],
    )
    for trigger in ENDS
    for supervise in (True, False)
]


@pytest.mark.parametrize(("trigger", "supervise"), ROWS)
def test_nothing_survives(among: Company, trigger: Trigger, supervise: bool, took: Took) -> None:
    """Without a supervisor, the pass attaches itself, and finds what it can."""
    kinds = tree.FULL if supervise else tree.UNSUPERVISED
    setting = setting_of(trigger, pipelining=False, supervise=supervise, kinds=kinds)
    outcome = play_row(among, setting, trigger, fire=fire_of(trigger))
    took(outcome.seconds)
    assert_nothing_survived(outcome, trigger)


@covers("Containers", PLUGIN, "files")
def test_nothing_survives_the_whole_controller(among: Company, took: Took) -> None:
    """The worker holds the output of the command: its end is that of the channel."""
    outcome = play_row(among, setting_of(LOST, pipelining=False), LOST)
    took(outcome.seconds)
    assert_nothing_survived(outcome, LOST)


@pytest.mark.parametrize("trigger", [pytest.param(INT, marks=rest), KILL], ids=lambda one: one.name)
def test_without_the_collection_the_tree_survives(lxc_lab: TransportLab, trigger: Trigger) -> None:
    """The control."""
    remains = play_control(lxc_lab, setting_of(trigger, pipelining=False), trigger)
    assert remains.survivors >= {*tree.DAEMONS}, remains.story


# Each takes long: `make coverage` runs them.
pytestmark = pytest.mark.rest
