# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Core sends a command again if it has lost its connection.

What the first run has left is ended before the second one begins.
"""

from __future__ import annotations

import dataclasses
import re

import pytest

from tests.support.hosts import Host, Lab
from tests.support.run import gate
from tests.support.run.play import Setting
from tests.support.run.run import Run, started
from tests.support.run.waiting import stays
from tests.support.trees import census, tree
from tests.support.trees.triggers import LOST_MASTER

SETTING = Setting(hosts=1, ssh={"retries": 2})

#: What the second run has started when it waits at its gate.
SECOND = ("nohup", "setsid", "daemon", "daemon-cleared", "daemon-python")

WHILE = 2.0  #: seconds; longer than the grace


def twice(row: str) -> str:
    """Return a play whose runs each write down the live processes first.

    The first grows the tree. The second starts some processes, and lasts until its gate is opened.
    """
    seen = f"/tmp/seen-{row}"
    return f"""
n=$(ls -d {seen}-* 2> /dev/null | wc -l)
ps -ewwo pid,args > {seen}-$n
if [ $n = 0 ]; then
{tree.script(row, tree.FULL)}
fi
{tree.left_behind(second(row), SECOND)}
{gate.script(row)}
"""


def second(row: str) -> str:
    """Return the mark of the processes of the second run."""
    return f"second-{row}"


def seen_by_second(host: Host, run: Run) -> set[str]:
    """Return the processes of the first run that the second one has found when it began."""
    lines = (host.root / f"tmp/seen-{run.row}-1").read_text().splitlines()
    return set(re.findall(rf"^ *\d+ tk-([a-z-]+)-{run.row} ", "\n".join(lines), re.MULTILINE))


@pytest.mark.parametrize(
    ("pipelining", "become"),
    [(False, "no"), (True, "root, no password")],
    ids=["tty", "pipelining, become root"],
)
def test_the_first_run_is_gone_before_the_second_one_begins_and_that_one_is_not_harmed(
    tidy_lab: Lab, pipelining: bool, become: str
) -> None:
    """The client ends with status 255, since its ControlMaster was killed."""
    host = tidy_lab["web1"]
    known = {host.name: frozenset(process.id for process in host.processes())}
    with started(
        tidy_lab,
        dataclasses.replace(SETTING, pipelining=pipelining, become=become),
        collection=True,
        script=twice,
    ) as run:
        census.wait_for_tree(run, [host], known)
        LOST_MASTER.fire(run, tidy_lab)
        gate.wait_at(run, host)
        assert not seen_by_second(host, run), run.story
        theirs = {process.id for process in host.processes(rf"^tk-[a-z-]+-{second(run.row)} ")}
        assert len(theirs) == len(SECOND), run.story
        stays(
            lambda: all(process.alive() for process in theirs),
            WHILE,
            f"a process of the second run was ended\n{run.story}",
        )
        gate.open_gate(run, host)
        assert run.wait(40) == 0, run.story
        assert all(process.alive() for process in theirs), run.story
        mine = [
            process
            for process in census.of_tree(host, known[host.name])
            if process.id not in theirs
        ]
        assert not mine, f"the first run has left {mine}\n{run.story}"


def test_without_the_collection_the_second_run_finds_the_first(tidy_lab: Lab) -> None:
    """The control."""
    host = tidy_lab["web1"]
    known = {host.name: frozenset(process.id for process in host.processes())}
    with started(
        tidy_lab, dataclasses.replace(SETTING, pipelining=True), collection=False, script=twice
    ) as run:
        census.wait_for_tree(run, [host], known)
        LOST_MASTER.fire(run, tidy_lab)
        gate.wait_at(run, host)
        assert seen_by_second(host, run) >= {*tree.COOPERATIVE}, run.story
