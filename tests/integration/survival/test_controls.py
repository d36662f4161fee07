# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs without the collection.

Each interruption leaves what is known of this version of ansible-core, so the survival rows can
fail.
"""

from __future__ import annotations

import pytest

from tests.support.hosts import Lab
from tests.support.run.control import BEFORE_2_19, play_control
from tests.support.run.play import Setting
from tests.support.trees import tree
from tests.support.trees.table import rest
from tests.support.trees.triggers import CTRL_C, HUP, INT, KILL, KILL_GROUP, TERM, Trigger

#: What is left: W workers, S ssh clients, R the plain process of the task on the host.
#:
#:    trigger      before 2.19            from 2.19
#:                 tty      pipelining    tty      pipelining
LEFT = {
    CTRL_C: ("", "R", "", "R"),
    INT: ("SR", "SR", "", "R"),
    TERM: ("WSR", "WSR", "", "R"),
    HUP: ("WSR", "WSR", "WSR", "WSR"),
    KILL: ("WSR", "WSR", "WSR", "WSR"),
    KILL_GROUP: ("", "R", "WSR", "WSR"),
}

#: They survive even where the plain process does not: a hang-up of the terminal does not reach
#: them, or they ignore it.
HUP_PROOF = {
    "setsid",
    "nohup",
    "ignores-signals",
    "daemon",
    "setsid-cleared",
    "daemon-cleared",
    "sudo-ignores-term",
}


@pytest.mark.parametrize("pipelining", [False, True], ids=["tty", "pipelining"])
@pytest.mark.parametrize(
    "trigger",
    [
        pytest.param(one, id=one.name, marks=[rest] if one in (TERM, HUP, KILL_GROUP) else [])
        for one in LEFT
    ],
)
def test_without_the_collection_survivors_are_left(
    lab: Lab, trigger: Trigger, pipelining: bool
) -> None:
    """The tree and the triggers are those of the rows, without a callback."""
    expected = LEFT[trigger][2 * (not BEFORE_2_19) + pipelining]
    remains = play_control(lab, Setting(pipelining=pipelining), trigger, expected)
    assert remains.letters == expected, remains.story
    assert remains.status == trigger.status, remains.story
    assert remains.survivors >= HUP_PROOF, remains.story
    if "R" in expected:
        assert remains.survivors >= {*tree.FULL}, remains.story
