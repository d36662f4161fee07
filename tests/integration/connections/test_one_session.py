# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asynchronous jobs on a host whose sshd allows one session for each connection.

The pulse is one more session. ssh makes another connection for it, and for each poll that finds the
shared one in use.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hosts import Lab
from tests.support.labs.lab_or_skip import lab_or_skip
from tests.support.run import gate
from tests.support.run.play import Setting
from tests.support.run.polls import wait_for_second_poll
from tests.support.run.run import started
from tests.support.run.waiting import until
from tests.support.trees.bystanders import Companies, Company
from tests.support.trees.pulses import GRACE, PULSE, wait_for_attached, wait_for_pulse
from tests.support.trees.rows import SLACK, play_row
from tests.support.trees.table import Row, Took, assert_nothing_survived, rows
from tests.support.trees.triggers import LOST_CONTROLLER

from .ways import sshd

POLLED = {"async": 3600, "poll": 1}


@pytest.fixture(scope="module")
def narrow_lab(orderly_end: None) -> Iterator[Lab]:
    """A host with MaxSessions 1."""
    with lab_or_skip(1) as one:
        sshd("MaxSessions 1")(one)
        yield one


@pytest.fixture
def among(narrow_lab: Lab, companies: Companies) -> Company:
    """Bystanders on it."""
    return companies.on(narrow_lab)


@rows(
    Row(LOST_CONTROLLER, Setting(hosts=1, keywords=POLLED)),
    others=(
        Row(LOST_CONTROLLER, Setting(hosts=1, pipelining=True, keywords=POLLED)),
        Row(LOST_CONTROLLER, Setting(hosts=1, become="root, no password", keywords=POLLED)),
    ),
)
def test_nothing_survives_of_a_job(among: Company, row: Row, took: Took) -> None:
    """It has a pulse nevertheless."""
    outcome = play_row(
        among,
        row.setting,
        row.trigger,
        when=wait_for_pulse,
        patience=GRACE + row.setting.kill_timeout + SLACK,
    )
    took(outcome.seconds)
    assert_nothing_survived(outcome, row.trigger)


def test_a_run_that_nothing_interrupts_ends_as_ever(narrow_lab: Lab) -> None:
    """Polls and pulse do not keep each other from the host."""
    host = narrow_lab["web1"]
    setting = Setting(hosts=1, keywords=POLLED)
    with started(narrow_lab, setting, collection=True, script=gate.after_daemons) as run:
        gate.wait_at(run, host)
        wait_for_attached(run, host)
        wait_for_second_poll(run, host)
        gate.open_gate(run, host)
        assert run.wait(60) == 0, run.story
        assert "changed: [web1]" in run.output.partition("Run a script")[2], run.story
        assert "NOT PROTECTED" not in run.errors, run.story
        until(lambda: not host.processes(PULSE), 10, lambda: f"a pulse is left\n{run.story}")
