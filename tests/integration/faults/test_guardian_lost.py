# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guardian is killed, or its socket is removed, in the middle of a run.

The run goes on, and its user is told.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable

import pytest

from tests.support.hosts import Host, Lab
from tests.support.run import tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees.triggers import INT

from . import guardian

OPTIONS = {"kill_timeout": 1}


def kill(run: Run) -> None:
    """Kill it, as the out-of-memory killer does."""
    victim = guardian.guardian_of(run)
    victim.kill()
    until(lambda: not victim.alive(), 10, "the guardian does not die of SIGKILL")


def remove_socket(run: Run) -> None:
    """Remove it, as a cleaner of temporary files does."""
    shutil.rmtree(guardian.socket_of(run).parent)


Fault = Callable[[Run], None]

faults = pytest.mark.parametrize(
    "fault", [kill, remove_socket], ids=["guardian killed", "socket removed"]
)


def interrupt(run: Run, lab: Lab) -> None:
    """Interrupt it, and wait until it has ended as it should."""
    INT.fire(run, lab)
    assert run.wait(40) == INT.status, run.story


def assert_ended_and_told(run: Run, *hosts: Host) -> None:
    """Assert that no process is alive, and that the recap has that."""
    tasks.wait_until_gone(run, hosts)
    for host in hosts:
        assert re.search(
            rf"^{host.name} +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE
        ), run.story
    tasks.wait_until_nothing_is_left(run)


def test_without_a_fault_no_warning_is_given(lab: Lab, web1: Host) -> None:
    """The control of those below."""
    with started(lab, Play([tasks.gate(), tasks.grow()], options=OPTIONS)) as run:
        tasks.wait_at(run, web1)
        tasks.open_gate(run, web1)
        tasks.wait_for_tree(run, [web1])
        assert not run.errors, run.story
        interrupt(run, lab)
        assert_ended_and_told(run, web1)
        assert "WARNING" not in run.errors, run.story


@faults
def test_the_run_goes_on_and_ends_well_and_the_user_is_warned(
    lab: Lab, web1: Host, fault: Fault
) -> None:
    with started(lab, Play([tasks.gate(), tasks.trace()], options=OPTIONS)) as run:
        tasks.wait_at(run, web1)
        fault(run)
        tasks.open_gate(run, web1)
        assert run.wait(40) == 0, run.story
        assert tasks.has_left_trace(run, web1), run.story
        assert "treekill.remote: the guardian of this run" in tasks.said(run), run.story
        tasks.wait_until_nothing_is_left(run)


@faults
def test_a_new_guardian_serves_the_tasks_that_come_after(
    lab: Lab, web1: Host, fault: Fault
) -> None:
    with started(lab, Play([tasks.gate(), tasks.grow()], options=OPTIONS)) as run:
        tasks.wait_at(run, web1)
        first = guardian.guardian_of(run)
        fault(run)
        tasks.open_gate(run, web1)
        tasks.wait_for_tree(run, [web1])
        assert guardian.guardian_of(run, first).alive()
        interrupt(run, lab)
        assert_ended_and_told(run, web1)


@faults
def test_what_was_in_flight_is_ended_or_the_user_is_told_that_it_is_not(
    lab: Lab, web1: Host, fault: Fault
) -> None:
    with started(lab, Play([tasks.grow()], options=OPTIONS)) as run:
        tasks.wait_for_tree(run, [web1])
        fault(run)
        interrupt(run, lab)
        assert "What this run has started may be alive: look on its hosts" in tasks.said(run), (
            run.story
        )
        if fault is remove_socket:
            # The guardian itself is there, and the connections to it are open.
            tasks.wait_until_gone(run, [web1])
        assert "Traceback" not in run.errors, run.story
        tasks.wait_until_nothing_is_left(run, but=[web1] if fault is kill else [])


def test_a_guardian_that_is_killed_again_and_again_is_replaced_each_time(
    lab: Lab, web1: Host
) -> None:
    with started(
        lab,
        Play(
            [tasks.gate("first"), tasks.gate("second"), tasks.gate("third"), tasks.grow()],
            options=OPTIONS,
        ),
    ) as run:
        for name in ("first", "second", "third"):
            tasks.wait_at(run, web1, name)
            kill(run)
            tasks.open_gate(run, web1, name)
        tasks.wait_for_tree(run, [web1])
        interrupt(run, lab)
        assert_ended_and_told(run, web1)


def test_a_guardian_that_is_killed_during_the_grace_does_not_hold_up_the_end(
    lab: Lab, web1: Host
) -> None:
    """By then it has stopped the workers, and the main process waits for its report.

    What is under way on the host goes on there.
    """
    with started(
        lab, Play([tasks.grow()], options={"kill_timeout": 8}, kinds=["ignores-signals"])
    ) as run:
        tasks.wait_for_tree(run, [web1])
        INT.fire(run, lab)
        until(lambda: "given; grace period" in tasks.said(run), 20, lambda: run.story)
        kill(run)
        assert run.wait(20) == INT.status, run.story
        assert tasks.alive(run, web1, match="tk-ignores-signals"), (
            f"main has waited for the grace\n{run.story}"
        )
        assert "What this run has started may be alive: look on its hosts" in tasks.said(run), (
            run.story
        )
        tasks.wait_until_gone(run, [web1])
        tasks.wait_until_nothing_is_left(run)
