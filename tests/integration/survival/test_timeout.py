# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A task's `timeout:` runs out.

Its tree is gone before anything else of the play runs, and the run goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.coverage import covers
from tests.support.hosts import Host, Lab
from tests.support.run import controller
from tests.support.run.play import Setting
from tests.support.run.run import Run, started
from tests.support.run.waiting import until
from tests.support.trees import census, tree
from tests.support.trees.bystanders import Company
from tests.support.trees.rows import play_row
from tests.support.trees.table import Took, assert_nothing_survived
from tests.support.trees.triggers import TIMEOUT

#: What a `rescue` finds on the host: the host itself writes down the live processes, in the first
#: moment of the rescue.
LOOK: dict[str, Any] = {
    "name": "Look what is there",
    "ansible.builtin.shell": "ps -ewwo args > /tmp/seen-{{ row }}",
}

LONG = {"timeout": 3600}  #: seconds; the test decides when they are over


def record_on(host: Host, row: str) -> Path:
    """Return where the rescue writes down what it sees."""
    return host.root / f"tmp/seen-{row}"


def seen_on(host: Host, row: str) -> set[str]:
    """Return the kinds of processes of the tree that the rescue has found.

    The namesake is left out: bystanders look like it.
    """
    lines = record_on(host, row).read_text().splitlines()
    return {
        line.partition(f"-{row} ")[0].removeprefix("tk-")
        for line in lines
        if line.startswith("tk-") and f"-{row} " in line
    } - {"earlier"}


@covers("Connections", "ssh", "timeout")
@pytest.mark.parametrize(
    ("pipelining", "become"),
    [(False, "no"), (True, "root, no password")],
    ids=["tty", "pipelining, become root"],
)
def test_nothing_survives_and_the_rescue_comes_after_the_end_of_the_tree(
    among: Company, pipelining: bool, become: str, took: Took
) -> None:
    """The run ends well, since the task was rescued.

    The local client of the task is gone as well.
    """
    clients: list[controller.Local] = []

    def run_out(run: Run, lab: Lab) -> None:
        clients.extend(process for process in controller.processes(run.row) if process.is_ssh)
        TIMEOUT.fire(run, lab)
        until(
            record_on(among.hosts[0], run.row).exists,
            20,
            lambda: f"no task comes to the rescue\n{run.story}",
        )
        assert not [client for client in clients if client.id.alive()], run.story

    setting = Setting(hosts=1, pipelining=pipelining, become=become, keywords=LONG, rescue=[LOOK])
    outcome = play_row(among, setting, TIMEOUT, fire=run_out)
    took(outcome.seconds)
    assert clients
    assert_nothing_survived(outcome, TIMEOUT)
    assert not seen_on(among.hosts[0], outcome.row), outcome.story


def test_without_the_collection_the_rescue_finds_the_tree(tidy_lab: Lab) -> None:
    """The control."""
    host = tidy_lab["web1"]
    setting = Setting(
        hosts=1, pipelining=True, kinds=tree.COOPERATIVE, keywords=LONG, rescue=[LOOK]
    )
    known = {host.name: frozenset(process.id for process in host.processes())}
    with started(tidy_lab, setting, collection=False) as run:
        census.wait_for_tree(run, [host], known)
        TIMEOUT.fire(run, tidy_lab)
        assert run.wait(40) == 0, run.story
        assert seen_on(host, run.row) >= {*tree.COOPERATIVE}, run.story
