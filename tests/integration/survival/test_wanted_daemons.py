# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes that a task leaves behind on purpose live on.

The task ended by itself, so the collection leaves its tree alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.hosts import Lab
from tests.support.run.play import Setting
from tests.support.run.run import started
from tests.support.run.waiting import stays, until
from tests.support.trees import tree
from tests.support.trees.bystanders import Company
from tests.support.trees.rows import play_row
from tests.support.trees.table import Row, Took, assert_nothing_survived, rows
from tests.support.trees.triggers import INT, LOST_CONTROLLER

WHILE = 1.5  #: seconds; longer than the grace


@pytest.mark.parametrize(
    ("pipelining", "become", "keywords"),
    [(False, "no", {}), (True, "root, no password", {}), (False, "no", {"async": 3600, "poll": 1})],
    ids=["tty", "pipelining, become root", "async"],
)
def test_daemons_live_on_when_their_task_and_the_run_end(
    tidy_lab: Lab, pipelining: bool, become: str, keywords: Mapping[str, Any]
) -> None:
    """They use nohup, setsid, double fork, with an environment or without.

    The supervisor that has adopted them exits, and they stay.
    """
    host = tidy_lab["web1"]
    setting = Setting(hosts=1, pipelining=pipelining, become=become, keywords=keywords)
    with started(
        tidy_lab, setting, collection=True, script=lambda row: tree.left_behind(row, tree.DAEMONS)
    ) as run:
        assert run.wait(60) == 0, run.story
        daemons = host.processes(rf"^tk-[a-z-]+-{run.row} ")
        assert {tree.label_of(process.command, run.row) for process in daemons} == {
            *tree.DAEMONS
        }, run.story
        stays(
            lambda: all(process.id.alive() for process in daemons),
            WHILE,
            f"a daemon was ended\n{run.story}",
        )
        until(lambda: not host.processes("^treekill"), 10, "the supervisor stays")
        parents = {process.ppid for process in host.processes(rf"^tk-[a-z-]+-{run.row} ")}
        assert parents == {1}, f"a process keeps them: {parents}"


@rows(
    Row(INT, Setting(hosts=1, pipelining=True, leaves=tree.DAEMONS)),
    Row(LOST_CONTROLLER, Setting(hosts=1, leaves=tree.DAEMONS, become="root, no password")),
)
def test_daemons_live_on_when_the_next_task_is_interrupted(
    among: Company, row: Row, took: Took
) -> None:
    """The tree of that one is ended, all of it, with those kinds of processes."""
    outcome = play_row(among, row.setting, row.trigger)
    took(outcome.seconds)
    assert_nothing_survived(outcome, row.trigger)
