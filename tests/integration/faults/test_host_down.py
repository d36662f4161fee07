# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host that is down during the kill pass.

It is tried again, and reported with the reason and with what finishes the job. The exit status does
not change.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator, Mapping

import pytest

from tests.support.hosts import Host, Lab
from tests.support.run import tasks
from tests.support.run.playing import Play, follow, started
from tests.support.run.run import Run
from tests.support.run.waiting import stays, until
from tests.support.trees.triggers import CTRL_C, INT

from . import guardian

#: Each kill order needs a connection of its own. Within two seconds it is clear that there is none.
NO_MASTER: Mapping[str, Mapping[str, object]] = {
    "ssh_connection": {"ssh_args": "-o ControlMaster=no"},
    "defaults": {"timeout": 2},
}

#: Seconds of grace, seconds that the guardian gives a try of an order, and some for a busy machine.
LONGEST_WAIT = 1 + 30 + 10

#: Seconds between two changes of the line on a terminal. They are one second, and more on a busy
#: machine.
LONGEST_SILENCE = 3.0


@pytest.fixture(autouse=True)
def _heal(lab: Lab) -> Iterator[None]:
    """Heal the network, in any case: the next test, and the clients of this one, need it."""
    yield
    for host in lab:
        host.heal()


def a_play(retry_for: float, **more: object) -> Play:
    """Return a play with a tree on both hosts, without a supervisor.

    A supervisor would end the tree as soon as it noticed the loss of the connection.
    """
    options = {"kill_timeout": 1, "kill_retry_for": retry_for, "supervise": False}
    return Play([tasks.grow()], hosts=("web1", "web2"), options=options, **more)  # type: ignore[arg-type]


def interrupt_with_one_host_down(run: Run, lab: Lab) -> None:
    """Cut web1, interrupt, and see how main ends."""
    tasks.wait_for_tree(run, list(lab))
    lab["web1"].cut()
    INT.fire(run, lab)
    assert run.wait(LONGEST_WAIT) == INT.status, run.story
    tasks.wait_until_gone(run, [lab["web2"]])
    assert tasks.alive(run, lab["web1"]), f"it was not down\n{run.story}"
    assert re.search(r"^web2 +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE), run.story


def test_it_is_reported_with_the_reason_and_the_command_that_finishes_the_job(
    lab: Lab, web1: Host
) -> None:
    with started(lab, a_play(0, sections=NO_MASTER)) as run:
        interrupt_with_one_host_down(run, lab)
        assert re.search(
            r"^web1 +: NOT CONFIRMED \(task: Grow a tree\): .*(timed out|No route to "
            r"host|unreachable)",
            run.errors,
            re.MULTILINE,
        ), run.story
        tasks.wait_until_nothing_is_left(run)
        web1.heal()
        command = re.search(
            r"^To end what is left when the hosts are reachable, run: (.*)$",
            run.errors,
            re.MULTILINE,
        )
        assert command, run.story
        assert "--limit web1 " in command[1], run.story
        swept = follow(run, command[1])
        assert swept.status == 0, f"{swept.output}\n{swept.errors}"
        assert not tasks.alive(run, web1), f"{swept.output}\n{swept.errors}"


def test_it_is_tried_again_when_the_main_process_has_left(lab: Lab, web1: Host) -> None:
    with started(lab, a_play(60, sections=NO_MASTER)) as run:
        interrupt_with_one_host_down(run, lab)
        assert re.search(
            r"^web1 +: NOT CONFIRMED .*Retrying for 60 s in total", run.errors, re.MULTILINE
        ), run.story
        assert guardian.guardian_of(run).alive()
        web1.heal()
        # The pause between two tries has grown to some seconds by now.
        tasks.wait_until_gone(run, [web1], 30)
        tasks.wait_until_nothing_is_left(run)


def test_a_master_connection_that_hangs_is_no_reason_to_wait_for_ever(lab: Lab, web1: Host) -> None:
    """An ssh client over a ControlMaster whose host is silent waits until TCP gives up."""
    with started(lab, a_play(60)) as run:
        interrupt_with_one_host_down(run, lab)
        assert re.search(r"^web1 +: NOT CONFIRMED", run.errors, re.MULTILINE), run.story
        web1.heal()
        tasks.wait_until_gone(run, [web1], 60)
        tasks.wait_until_nothing_is_left(run)


def test_the_recap_waits_for_a_host_that_hangs_and_the_terminal_shows_progress_meanwhile(
    lab: Lab, web1: Host
) -> None:
    """The last change of the line came 1 s after the signal, and the recap did not know the end."""
    play = a_play(0, terminal=True, environ={"TERM": "xterm"})
    with started(lab, play) as run:
        tasks.wait_for_tree(run, [*lab])
        web1.cut()
        run.press_ctrl_c()
        changed = [time.monotonic()]
        screen = run.directory / "stdout"
        size = 0
        while run.process.poll() is None and time.monotonic() < changed[0] + LONGEST_WAIT:
            if screen.stat().st_size != size:
                size = screen.stat().st_size
                changed.append(time.monotonic())
            time.sleep(0.05)
        assert run.wait(0) == CTRL_C.status, run.story
        silences = [later - before for before, later in itertools.pairwise(changed)]
        assert max(silences) < LONGEST_SILENCE, f"{silences}\n{run.story}"
        assert re.search(
            r"1 of 2 hosts done, the grace period is over, 2\d s so far", run.output
        ), run.story
        assert re.search(
            r"^web1 +: NOT CONFIRMED .*no answer within 31 s", run.output, re.MULTILINE
        ), run.story
        assert re.search(r"^web2 +: ended [1-9]\d* .*survivors 0", run.output, re.MULTILINE), (
            run.story
        )
        web1.heal()
        tasks.wait_until_nothing_is_left(run)


def test_the_guardian_gives_up_after_kill_retry_for(lab: Lab, web1: Host) -> None:
    with started(lab, a_play(4, sections=NO_MASTER)) as run:
        interrupt_with_one_host_down(run, lab)
        serving = guardian.guardian_of(run)
        # The last try begins before these seconds are over, and takes two.
        until(lambda: not serving.alive(), 4 + 2 + 10, "the guardian does not give up")
        tasks.wait_until_nothing_is_left(run)
        web1.heal()
        stays(lambda: tasks.alive(run, web1), 1, "a kill pass has come after all")
