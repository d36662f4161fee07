# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs with the collection, interrupted in every way.

No process that their tasks started lives on, and all other processes do.
"""

from __future__ import annotations

import re
import time

import pytest

from tests.support.hosts import Lab
from tests.support.run.control import play_control
from tests.support.run.play import Setting
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees import tree
from tests.support.trees.bystanders import Company
from tests.support.trees.rows import play_row
from tests.support.trees.table import (
    Row,
    Took,
    assert_nothing_survived,
    becoming,
    nothing_survives,
    rows,
)
from tests.support.trees.triggers import (
    ALL,
    CTRL_C,
    INT,
    KILL,
    KILL_GROUP,
    KILL_WORKER,
    TERM,
    TIMEOUT,
)

# Every trigger, with a pty on the host and without, against the whole tree.

EVERY_TRIGGER = [
    Row(trigger, Setting(pipelining=pipelining))
    for trigger in ALL
    if trigger is not KILL_WORKER
    for pipelining in (False, True)
]


@rows(*EVERY_TRIGGER)
def test_nothing_survives(among: Company, row: Row, took: Took) -> None:
    """The core of the matrix."""
    nothing_survives(among, row, took)


@pytest.mark.parametrize("pipelining", [False, True], ids=["tty", "pipelining"])
def test_a_killed_worker_takes_its_tree_along_and_the_run_ends_as_core_ends_it(
    among: Company, pipelining: bool, took: Took
) -> None:
    """Core ends the whole run when a worker is dead.

    A run without the collection shows the status.
    """
    without = play_control(
        among.lab, Setting(pipelining=pipelining, kinds=tree.COOPERATIVE), KILL_WORKER
    )
    outcome = play_row(among, Setting(pipelining=pipelining), KILL_WORKER)
    took(outcome.seconds)
    assert_nothing_survived(outcome, KILL_WORKER, status=without.status)


def test_a_second_ctrl_c_ends_the_grace(among: Company, took: Took) -> None:
    """The grace is a minute, and half of the tree ignores TERM."""

    def press_twice(run: Run, lab: Lab) -> None:
        hosts = list(lab)
        first = time.monotonic()
        run.press_ctrl_c()
        until(
            # Two within a moment are one, which came by two ways. A user that has read the message
            # is slower.
            lambda: (
                "Ctrl-C again" in run.errors
                and time.monotonic() > first + 0.5
                and not any(host.processes(f"tk-background-{run.row}") for host in hosts)
            ),
            20,
            lambda: f"the grace has not begun\n{run.story}",
        )
        assert all(host.processes(f"tk-ignores-signals-{run.row}") for host in hosts), (
            f"the grace is over already\n{run.story}"
        )
        run.press_ctrl_c()

    outcome = play_row(among, Setting(kill_timeout=60), CTRL_C, fire=press_twice, patience=20)
    took(outcome.seconds)
    assert_nothing_survived(outcome, CTRL_C)


# Settings that may differ from run to run, each with the triggers that differ most. After them, the
# main process is there, is not, or its group is not.

BECOMING = [
    Row(
        trigger,
        Setting(
            pipelining=pipelining,
            become=become,
            kinds=tree.WITHOUT_SUDO if become == "another user" else tree.FULL,
        ),
    )
    for become in ("root, no password", "root, by password", "another user")
    for trigger, pipelining in ((INT, False), (TERM, True), (KILL, True), (KILL_GROUP, False))
]


# As many triggers as ways, and each of them once.
@rows(*BECOMING[::5], others=[row for row in BECOMING if row not in BECOMING[::5]])
def test_nothing_survives_of_a_task_that_became_another_user(
    among: Company, row: Row, took: Took
) -> None:
    """The kill pass becomes that user."""
    nothing_survives(among, row, took)


@rows(
    Row(KILL, Setting(strategy="free", pipelining=True)),
    others=[
        Row(INT, Setting(strategy="free")),
        Row(KILL_GROUP, Setting(strategy="free", pipelining=True)),
    ],
)
def test_nothing_survives_of_a_run_with_another_strategy(
    among: Company, row: Row, took: Took
) -> None:
    """Linear is the default of all others."""
    nothing_survives(among, row, took)


@rows(
    Row(CTRL_C, Setting(track="plugins", pipelining=True)),
    Row(KILL, Setting(track="plugins", pipelining=True)),
    others=[
        Row(INT, Setting(track="plugins")),
        Row(KILL_GROUP, Setting(track="plugins", pipelining=True)),
        becoming(TIMEOUT, track="plugins"),
    ],
)
def test_nothing_survives_where_only_plugins_of_the_collection_are_tracked(
    among: Company, row: Row, took: Took
) -> None:
    """Core is not patched. The play names treekill.remote.ssh and treekill.remote.shell."""
    nothing_survives(among, row, took)


@rows(
    Row(INT, Setting(action="raw")),
    Row(KILL, Setting(action="script")),
    others=[
        Row(KILL, Setting(action="raw")),
        Row(INT, Setting(action="script")),
        *(becoming(TIMEOUT, action=action) for action in ("raw", "script", "command")),
        *(Row(trigger, Setting(action="command", pipelining=True)) for trigger in (INT, KILL)),
    ],
)
def test_nothing_survives_of_the_own_actions(among: Company, row: Row, took: Took) -> None:
    """The collection's own raw and script, which are no modules, have a supervisor as well."""
    nothing_survives(among, row, took)


SOCIABLE = (*tree.COOPERATIVE, "ignores-signals", "respawns")


@rows(
    Row(INT, Setting(hosts=20, pipelining=True, kinds=SOCIABLE)),
    Row(KILL, Setting(hosts=20, kinds=SOCIABLE)),
    Row(KILL_GROUP, Setting(hosts=20, pipelining=True, kinds=SOCIABLE)),
)
def test_nothing_survives_on_twenty_hosts(among_many: Company, row: Row, took: Took) -> None:
    """They are ended at once, not one by one."""
    nothing_survives(among_many, row, took)


@rows(
    Row(INT, Setting(kinds=("many",))),
    Row(KILL, Setting(kinds=("many",), pipelining=True)),
    others=[Row(KILL_GROUP, Setting(kinds=("many",), pipelining=True))],
)
def test_nothing_survives_of_a_tree_of_500(among: Company, row: Row, took: Took) -> None:
    """A quarter of them is deaf to TERM."""
    nothing_survives(among, row, took)


# What can't be won, and is reported.


@pytest.mark.parametrize("pipelining", [False, True], ids=["tty", "pipelining"])
def test_a_root_process_behind_a_password_is_named_as_survivor(
    among: Company, pipelining: bool, took: Took
) -> None:
    """A sudo that wants a password which only the task had can't end a root process.

    If that ignores TERM, it survives. All else is ended.
    """
    setting = Setting(
        pipelining=pipelining,
        become="no, sudo wants a password",
        kinds=(*tree.WITHOUT_SUDO, "password-sudo"),
    )
    outcome = play_row(among, setting, INT, but=frozenset({"password-sudo"}))
    took(outcome.seconds)
    assert outcome.alive == {"password-sudo"}, f"alive: {outcome.survivors}\n{outcome.story}"
    assert not outcome.dead, f"bystanders died: {', '.join(outcome.dead)}\n{outcome.story}"
    assert not outcome.left, f"left on the controller: {outcome.left}\n{outcome.story}"
    assert outcome.status == INT.status, outcome.story
    reasons = re.findall(
        rf"survivor \d+ \(root\) tk-password-sudo-{outcome.row} {tree.LIFETIME}: (.*)$",
        outcome.errors,
        re.MULTILINE,
    )
    assert len(reasons) == len(outcome.hosts), f"not named\n{outcome.story}"
    assert all(reason.startswith("not permitted") for reason in reasons), (
        f"no reason: {reasons}\n{outcome.story}"
    )


# Without the supervisor.

ALONE = [
    Row(trigger, Setting(pipelining=pipelining, supervise=False, kinds=tree.UNSUPERVISED))
    for trigger in (INT, KILL)
    for pipelining in (False, True)
]


@rows(ALONE[0], ALONE[-1], others=ALONE[1:-1])
def test_the_kill_pass_alone_finds_each_descendant_and_each_holder_of_the_cookie(
    among: Company, row: Row, took: Took
) -> None:
    """That is for hosts without Linux or Python, and for users that want no supervisor."""
    nothing_survives(among, row, took)


@rows(
    *(
        Row(trigger, Setting(pipelining=pipelining, supervise=False))
        for trigger in (INT, KILL_GROUP)
        for pipelining in (False, True)
    )
)
def test_only_a_supervisor_wins(among: Company, row: Row, took: Took) -> None:
    """The control of the supervisor: an orphan with a cleared environment.

    It descends from no process of the tree, and carries no cookie.
    """
    outcome = play_row(among, row.setting, row.trigger, but=tree.SUPERVISOR)
    took(outcome.seconds)
    assert_nothing_survived(outcome, row.trigger, but=tree.SUPERVISOR)
