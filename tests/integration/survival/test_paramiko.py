# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs by treekill.remote.paramiko_ssh.

No process survives, although the client is a part of the worker and ends with it.
"""

from __future__ import annotations

import itertools

import pytest
from ansible.release import __version__

from tests.support.hosts import Lab
from tests.support.run.play import BUILTIN_PARAMIKO, PARAMIKO, Setting
from tests.support.run.run import started
from tests.support.trees import census, tree
from tests.support.trees.bystanders import Company
from tests.support.trees.rows import play_row, tidy
from tests.support.trees.table import (
    Row,
    Took,
    assert_nothing_survived,
    becoming,
    nothing_survives,
    rows,
)
from tests.support.trees.triggers import INT, KILL, KILL_WORKER, TERM, TIMEOUT, Trigger

from .test_controls import HUP_PROOF
from .test_timeout import LONG, LOOK, seen_on

BEFORE_2_21 = tuple(int(part) for part in __version__.split(".")[:2]) < (2, 21)

BECOME = ("no", "root, no password", "root, by password")

TRIGGERS = (INT, KILL, TERM, KILL_WORKER, TIMEOUT)


def _row(trigger: Trigger, become: str, number: int) -> Row:
    # One of the two hosts with pipelining, the other with a pty.
    pipelined = ("web1", "web2")[number % 2]
    setting = Setting(
        connection=PARAMIKO,
        become=become,
        track=("all", "plugins")[number // 2 % 2],
        variables={pipelined: {"ansible_pipelining": True}},
        keywords=LONG if trigger is TIMEOUT else {},
        rescue=[LOOK] if trigger is TIMEOUT else [],
    )
    return Row(trigger, setting, f"pipelining on {pipelined}")


#: Every trigger with every way of becoming another user, with a pty and without. The way of
#: tracking, and the worker that is killed, change from row to row. So each trigger meets both, and
#: each way of becoming does.
EVERY = [
    _row(trigger, become, number)
    for number, (trigger, become) in enumerate(itertools.product(TRIGGERS, BECOME))
]


@pytest.fixture(scope="module")
def status_without(lab: Lab) -> int | None:
    """Return the status with which core ends a run that has lost a worker."""
    setting = Setting(hosts=1, connection=PARAMIKO, track="none", kinds=tree.COOPERATIVE)
    known = {host.name: frozenset(process.id for process in host.processes()) for host in lab}
    with started(lab, setting, collection=True) as run:
        census.wait_for_tree(run, list(lab)[:1], known)
        KILL_WORKER.fire(run, lab)
        status = run.wait(40)
    tidy(list(lab), known)
    return status


@rows(*EVERY[::4], others=[row for row in EVERY if row not in EVERY[::4]])
def test_nothing_survives(
    among: Company, row: Row, took: Took, request: pytest.FixtureRequest
) -> None:
    """No other process dies, and the status is that of a run without the guard."""
    status = (
        request.getfixturevalue("status_without")
        if row.trigger is KILL_WORKER
        else row.trigger.status
    )
    outcome = play_row(among, row.setting, row.trigger)
    took(outcome.seconds)
    assert_nothing_survived(outcome, row.trigger, status=status)
    if row.trigger is TIMEOUT:
        assert not any(seen_on(host, outcome.row) for host in among.hosts), (
            f"the rescue came before the end of the tree\n{outcome.story}"
        )


@rows(
    *(
        Row(trigger, Setting(connection=BUILTIN_PARAMIKO, become=become))
        for trigger, become in ((INT, "no"), (KILL, "root, no password"))
    ),
    others=[becoming(TIMEOUT, connection=BUILTIN_PARAMIKO)],
)
def test_nothing_survives_by_the_plugin_of_core(among: Company, row: Row, took: Took) -> None:
    """Under `track: all` it is guarded like any other, in cores that still have one."""
    if not BEFORE_2_21:
        pytest.skip("ansible-core 2.21 and later have no paramiko_ssh")
    nothing_survives(among, row, took)


@pytest.mark.parametrize("pipelining", [False, True], ids=["tty", "pipelining"])
@pytest.mark.parametrize("trigger", [INT, KILL], ids=lambda trigger: trigger.name)
def test_without_the_guard_survivors_are_left(lab: Lab, trigger: Trigger, pipelining: bool) -> None:
    """The control: that connection, and nothing tracked."""
    host = next(iter(lab))
    known = {host.name: frozenset(process.id for process in host.processes())}
    setting = Setting(hosts=1, connection=PARAMIKO, track="none", pipelining=pipelining)
    with started(lab, setting, collection=True) as run:
        census.wait_for_tree(run, [host], known)
        trigger.fire(run, lab)
        assert run.wait(40) == trigger.status, run.story
        found = {
            census.name_of(process, run.row)
            for process in census.survivors([host], known, run.row)[host.name]
        }
    tidy([host], known)
    assert found >= (set(tree.FULL) if pipelining else HUP_PROOF), run.story


# Each takes long: `make coverage` runs them.
pytestmark = pytest.mark.rest
