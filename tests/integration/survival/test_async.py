# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asynchronous tasks.

A polled job is ended at whatever moment the run is interrupted. One that is not polled is left
alone, unless the user wants otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.support.hosts import Host, Lab, ProcessId
from tests.support.run import polls
from tests.support.run.play import Setting
from tests.support.run.run import Run, started
from tests.support.run.waiting import stays, until
from tests.support.trees import census, tree
from tests.support.trees.bystanders import Company
from tests.support.trees.rows import When, play_row
from tests.support.trees.table import Took, assert_nothing_survived
from tests.support.trees.triggers import INT, KILL, Trigger

POLLED = {"async": 3600, "poll": 1}
LEFT = {"async": 3600, "poll": 0}

Known = Mapping[str, frozenset[ProcessId]]


# Moments of a polled job. Core's own starter, the job, and what asks for its status are seen on the
# host.


def when_it_starts(run: Run, hosts: Sequence[Host], known: Known) -> None:
    """Return when core's starter runs. Of the tree there is nothing yet, or some of it."""
    until(
        lambda: hosts[0].processes(r"async_wrapper\.py j\d"),
        40,
        lambda: f"no process starts a job\n{run.story}",
    )


def between_polls(run: Run, hosts: Sequence[Host], known: Known) -> None:
    """Return when the command that started it has returned.

    All evidence that it could have shown is gone with it.
    """
    census.wait_for_tree(run, hosts, known)
    polls.wait_between_polls(run, hosts[0])


def during_a_poll(run: Run, hosts: Sequence[Host], known: Known) -> None:
    """Return when a poll asks for its status."""
    census.wait_for_tree(run, hosts, known)
    polls.wait_for_poll(run, hosts[0])


@pytest.mark.parametrize(
    ("trigger", "when", "become"),
    [
        (INT, when_it_starts, "no"),
        (INT, between_polls, "no"),
        (KILL, between_polls, "root, no password"),
        (INT, during_a_poll, "no"),
    ],
    ids=["when it starts", "between polls", "KILL between polls, become root", "during a poll"],
)
def test_nothing_survives_of_a_job_that_is_polled(
    among: Company, trigger: Trigger, when: When, become: str, took: Took
) -> None:
    """Its supervisor has stayed with it: it has daemons with a cleared environment as well."""
    outcome = play_row(among, Setting(hosts=1, become=become, keywords=POLLED), trigger, when=when)
    took(outcome.seconds)
    assert outcome.alive == set(), f"alive: {outcome.survivors}\n{outcome.story}"
    assert not outcome.late, outcome.story
    assert not outcome.dead, f"bystanders died: {outcome.dead}\n{outcome.story}"
    assert not outcome.left, f"left on the controller: {outcome.left}\n{outcome.story}"
    assert outcome.status == trigger.status, outcome.story


def test_without_the_collection_a_job_survives(tidy_lab: Lab) -> None:
    """The control."""
    host = tidy_lab["web1"]
    known = {host.name: frozenset(process.id for process in host.processes())}
    with started(
        tidy_lab, Setting(hosts=1, kinds=tree.COOPERATIVE, keywords=POLLED), collection=False
    ) as run:
        between_polls(run, [host], known)
        INT.fire(run, tidy_lab)
        assert run.wait(20) is not None, run.story
        stays(lambda: {*tree.COOPERATIVE} <= kinds_on(host, run), WHILE, "the job has ended")


# A job that is not polled, and a loop that asks for it.

WHILE = 1.5  #: seconds; longer than the grace

LOOP: dict[str, Any] = {
    "name": "Ask for it",
    "ansible.builtin.async_status": {"jid": "{{ job.ansible_job_id }}"},
    "register": "answer",
    "until": "answer.finished",
    "retries": 3600,
    "delay": 1,
}


def in_the_loop(run: Run, hosts: Sequence[Host], known: Known) -> None:
    """Return when it was asked for more than once."""
    census.wait_for_tree(run, hosts, known)
    polls.wait_for_second_poll(run, hosts[0])


def test_with_kill_async_nothing_survives_the_interruption_of_an_async_status_loop(
    among: Company, took: Took
) -> None:
    """The job is ended, and what asks for it."""
    setting = Setting(
        hosts=1, keywords={**LEFT, "register": "job"}, after=[LOOP], options={"kill_async": True}
    )
    outcome = play_row(among, setting, INT, when=in_the_loop)
    took(outcome.seconds)
    assert_nothing_survived(outcome, INT)


def test_a_job_that_the_play_asks_for_is_in_flight_without_kill_async_as_well(
    tidy_lab: Lab,
) -> None:
    """It is ended, and so is what asks for it."""
    host = tidy_lab["web1"]
    known = {host.name: frozenset(process.id for process in host.processes())}
    setting = Setting(
        hosts=1, kinds=tree.DAEMONS, keywords={**LEFT, "register": "job"}, after=[LOOP]
    )
    with started(tidy_lab, setting, collection=True) as run:
        in_the_loop(run, [host], known)
        assert kinds_on(host, run) >= {*tree.DAEMONS}
        INT.fire(run, tidy_lab)
        assert run.wait(40) == INT.status, run.story
        until(lambda: not polls.polls(host), 10, lambda: f"a poll asks still\n{run.story}")
        until(
            lambda: not kinds_on(host, run) & {*tree.DAEMONS},
            10,
            lambda: f"a process of the job lives\n{run.story}",
        )
        assert re.search(r"^web1 +: ended [0-9]+ .*survivors 0", run.errors, re.MULTILINE), (
            run.story
        )


def kinds_on(host: Host, run: Run) -> set[str | None]:
    """Return the kinds of processes of the job that are alive."""
    return {tree.label_of(process.command, run.row) for process in host.processes(run.row)}
