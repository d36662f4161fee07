# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real tools other than dpkg finish what they have begun, whatever interrupts the run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hosts import HostsError, KindUnavailable, Lab
from tests.support.hosts.errors import PackagesMissing
from tests.support.labs import watchful_hosts
from tests.support.run import tasks
from tests.support.run.playing import started
from tests.support.trees.table import rest
from tests.support.trees.triggers import CTRL_C, INT, KILL, LOST_CONTROLLER, TERM, TIMEOUT

from . import tools
from .installing import Row, each, has_gone_on, interrupt, wait_for_the_end

ROWS = [
    Row(way, pipelining, trigger=trigger)
    for way in tools.TOOLS
    for pipelining in (False, True)
    for trigger in (INT, CTRL_C, TERM, KILL, TIMEOUT, LOST_CONTROLLER)
]

#: The tools need a tree of their own, which takes minutes to make.
pytestmark = rest

#: Each tool, each trigger, with and without a terminal. The others with --every-row.
USUAL = (
    Row("rpm"),
    Row("dnf", True, trigger=CTRL_C),
    Row("dnf module", True, trigger=LOST_CONTROLLER),
    Row("zypper", trigger=TERM),
    Row("pacman", trigger=KILL),
    Row("mkfs.ext4", True, trigger=TIMEOUT),
    Row("mkfs.ext4"),
)
assert {*USUAL} <= {*ROWS}


@pytest.fixture(scope="module")
def tools_lab() -> Iterator[Lab]:
    """A host with the tools."""
    try:
        lab = Lab.up(count=1, kind="namespace", packages=tools.PACKAGES)
    except (KindUnavailable, PackagesMissing, HostsError) as reason:
        pytest.skip(f"no host with {', '.join(tools.PACKAGES)}: {reason}")
    with lab:
        watchful_hosts.prepare(lab)
        yield lab


@each(ROWS, USUAL)
def test_a_tool_finishes_its_work(tools_lab: Lab, row: Row) -> None:
    """The tool finds nothing wrong, nothing of the tree lives, and the next step has not begun."""
    assert run_to_the_end(tools_lab, row)


@pytest.mark.parametrize("way", tools.TOOLS)
def test_without_the_option_the_work_is_not_done(tools_lab: Lab, way: str) -> None:
    """The control."""
    assert not run_to_the_end(tools_lab, Row(way, True, finish=False))


def run_to_the_end(lab: Lab, row: Row) -> bool:
    """Interrupt the run of a row. Return whether the work of the tool was done."""
    host, tool = lab["web1"], tools.TOOLS[row.way]
    tools.put_on(host, tool)
    tools.remove(host, tool)
    try:
        with started(lab, row.play()) as run:
            interrupt(run, lab, host, row, lambda host: tools.succeeds(host, tool.begun))
            wait_for_the_end(run, host)
            assert not has_gone_on(run, host), run.story
            done = tools.succeeds(host, tool.check)
            run.wait(90)
            if row.trigger.guardian:
                tasks.wait_until_nothing_is_left(run)
            return done
    finally:
        tools.remove(host, tool)
