# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks that become another user, by each program.

Their trees are ended, by the kill order and by the supervisor alike. On the first of the two hosts,
sudo runs every command in a terminal of its own (`use_pty`, its default from 1.9.14 on). On the
second it does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support.hosts import Lab
from tests.support.labs import become_hosts
from tests.support.labs.lab_or_skip import lab_or_skip
from tests.support.run.control import play_control
from tests.support.run.play import Setting
from tests.support.trees import tree
from tests.support.trees.bystanders import Companies, Company
from tests.support.trees.rows import play_row
from tests.support.trees.table import Row, Took, becoming, nothing_survives, rest, rows
from tests.support.trees.triggers import INT, KILL, LOST_CLIENT, LOST_CONTROLLER, TIMEOUT


@pytest.fixture(scope="session")
def become_lab(orderly_end: None) -> Iterator[Lab]:
    """Two hosts where accounts become each other in all ways."""
    with lab_or_skip(2) as two:
        become_hosts.prepare(two)
        yield two


@pytest.fixture(scope="session")
def logging_lab(orderly_end: None) -> Iterator[Lab]:
    """A host where sudo logs what commands read and write."""
    with lab_or_skip(1) as one:
        become_hosts.log_all(one)
        yield one


@pytest.fixture
def among_logged(logging_lab: Lab, companies: Companies) -> Company:
    """Bystanders on it."""
    return companies.on(logging_lab)


@pytest.fixture
def among_becoming(become_lab: Lab, companies: Companies) -> Company:
    """Bystanders on them."""
    return companies.on(become_lab)


# sudo. All in all, each way to become another user meets each trigger, and each trigger a terminal
# and none.


@rows(
    becoming(TIMEOUT, "root, no password", pipelining=True),
    becoming(LOST_CLIENT, "root, no password"),
    becoming(INT, "root, by password"),
    becoming(LOST_CLIENT, "root, by password", pipelining=True),
    becoming(LOST_CONTROLLER, "root, by password", pipelining=True),
    becoming(KILL, "another user"),
    becoming(LOST_CONTROLLER, "another user"),
    others=[
        becoming(INT, "root, no password", pipelining=True),
        becoming(KILL, "root, no password"),
        becoming(LOST_CONTROLLER, "root, no password"),
        becoming(KILL, "root, by password", pipelining=True),
        becoming(TIMEOUT, "root, by password"),
        becoming(INT, "another user"),
        becoming(TIMEOUT, "another user", pipelining=True),
        becoming(LOST_CLIENT, "another user"),
    ],
    also=[("Become", "sudo, use_pty on"), ("Become", "sudo, use_pty off")],
)
def test_nothing_survives_below_sudo(among_becoming: Company, row: Row, took: Took) -> None:
    """The connection ends at sudo's own process, and maybe at a terminal of sudo's.

    The tree is ended below both of them.
    """
    nothing_survives(among_becoming, row, took)


@rows(
    becoming(LOST_CONTROLLER, "root, no password", hosts=1, pipelining=True),
    others=[
        becoming(LOST_CONTROLLER, "another user", hosts=1, pipelining=True),
        becoming(LOST_CLIENT, "root, no password", hosts=1, pipelining=True),
        becoming(INT, "root, no password", hosts=1),
        becoming(KILL, "root, no password", hosts=1),
        becoming(TIMEOUT, "root, no password", hosts=1, pipelining=True),
    ],
    also=[("Become", "sudo, log_input and log_output")],
)
def test_nothing_survives_below_a_sudo_that_logs_all(
    among_logged: Company, row: Row, took: Took
) -> None:
    """sudo holds the other end of the module's output.

    It has nothing to write to a channel that broke. The supervisor sees the session end instead.
    """
    nothing_survives(among_logged, row, took)


@rows(
    becoming(KILL, "root, no password", level="block", pipelining=True),
    becoming(INT, "root, no password", level="task"),
    others=[
        becoming(INT, "root, no password", level="block"),
        becoming(TIMEOUT, "root, no password", level="block"),
        becoming(KILL, "root, no password", level="task"),
        becoming(TIMEOUT, "root, no password", level="task", pipelining=True),
    ],
)
def test_nothing_survives_wherever_the_play_says_become(
    among_becoming: Company, row: Row, took: Took
) -> None:
    """Play, block and task: all other rows have it in the play."""
    nothing_survives(among_becoming, row, took)


# su and doas.


@rows(
    becoming(INT, "root, by su", hosts=1),
    becoming(LOST_CLIENT, "root, by su", hosts=1),
    becoming(LOST_CONTROLLER, "root, by su", hosts=1),
    others=[
        becoming(KILL, "root, by su", hosts=1),
        becoming(TIMEOUT, "root, by su", hosts=1),
        becoming(INT, "another user, by su", hosts=1),
        becoming(KILL, "another user, by su", hosts=1),
        becoming(TIMEOUT, "another user, by su", hosts=1),
        becoming(LOST_CLIENT, "another user, by su", hosts=1),
    ],
)
def test_nothing_survives_below_su(among_becoming: Company, row: Row, took: Took) -> None:
    """Core never pipelines through su."""
    nothing_survives(among_becoming, row, took)


@rows(
    becoming(KILL, "root, by doas", hosts=1, pipelining=True),
    becoming(LOST_CONTROLLER, "root, by doas", hosts=1, pipelining=True),
    becoming(INT, "root, by doas and password", hosts=1),
    others=[
        becoming(INT, "root, by doas", hosts=1),
        becoming(TIMEOUT, "root, by doas", hosts=1, pipelining=True),
        becoming(LOST_CLIENT, "root, by doas", hosts=1),
        becoming(LOST_CLIENT, "root, by doas and password", hosts=1),
        becoming(KILL, "root, by doas and password", hosts=1),
        becoming(TIMEOUT, "root, by doas and password", hosts=1),
    ],
)
def test_nothing_survives_below_doas(among_becoming: Company, row: Row, took: Took) -> None:
    """It takes a password from a terminal only."""
    become_hosts.skip_without_doas(among_becoming.lab)
    nothing_survives(among_becoming, row, took)


# A task that becomes another user by itself.

OWN_WAY = {"kinds": (*tree.COOPERATIVE, "other-user", "sudo-ignores-term", *tree.BECOMES)}


@rows(
    becoming(INT, "no", **OWN_WAY),
    becoming(KILL, "no", pipelining=True, **OWN_WAY),
    becoming(LOST_CONTROLLER, "no", **OWN_WAY),
    others=[
        becoming(TIMEOUT, "no", **OWN_WAY),
        becoming(LOST_CLIENT, "no", pipelining=True, **OWN_WAY),
    ],
    also=[("Become", "a task that calls sudo, su, doas and setpriv")],
)
def test_nothing_survives_of_what_a_task_runs_by_sudo_su_doas_and_setpriv(
    among_becoming: Company, row: Row, took: Took
) -> None:
    """root signals, by `sudo -n`, what the task's user must not signal."""
    become_hosts.skip_without_doas(among_becoming.lab)
    nothing_survives(among_becoming, row, took)


def test_what_cannot_be_ended_is_named(among_becoming: Company, took: Took) -> None:
    """A login without sudo has become another user by su and a password.

    No signal reaches a process there that ignores su's own TERM.
    """
    setting = Setting(
        hosts=1, become="no, there is no sudo", kinds=(*tree.COOPERATIVE, "su-password-daemon")
    )
    outcome = play_row(among_becoming, setting, INT, but=frozenset({"su-password-daemon"}))
    took(outcome.seconds)
    assert outcome.alive == {"su-password-daemon"}, f"alive: {outcome.survivors}\n{outcome.story}"
    assert not outcome.dead, f"bystanders died: {', '.join(outcome.dead)}\n{outcome.story}"
    assert not outcome.left, f"left on the controller: {outcome.left}\n{outcome.story}"
    assert outcome.status == INT.status, outcome.story
    assert re.search(
        rf"survivor \d+ \(secret\) tk-su-password-daemon-{outcome.row} {tree.LIFETIME}: not "
        r"permitted",
        outcome.errors,
    ), outcome.story


# The controls.


@pytest.mark.parametrize(
    "become",
    [
        "root, by su",
        *(pytest.param(become, marks=rest) for become in ("another user", "root, by doas")),
    ],
)
def test_without_the_collection_the_tree_survives(become_lab: Lab, become: str) -> None:
    """It survives below each of the three programs."""
    if "doas" in become:
        become_hosts.skip_without_doas(become_lab)
    remains = play_control(become_lab, Setting(become=become, kinds=tree.COOPERATIVE), KILL)
    assert remains.survivors >= {*tree.COOPERATIVE}, remains.story


def test_without_the_collection_what_a_task_has_run_as_another_user_survives(
    become_lab: Lab,
) -> None:
    """It is run by sudo, su, doas and setpriv."""
    become_hosts.skip_without_doas(become_lab)
    remains = play_control(become_lab, Setting(pipelining=True, kinds=OWN_WAY["kinds"]), KILL)
    assert remains.survivors >= {*OWN_WAY["kinds"]}, remains.story
