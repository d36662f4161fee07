# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options work as documented: what is ended, by which signal, and what waits for it."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.support.hosts import Host, Lab
from tests.support.run import tasks
from tests.support.run.playing import Play, started
from tests.support.run.polls import wait_between_polls
from tests.support.run.run import Run
from tests.support.run.waiting import stays, until
from tests.support.trees.triggers import CTRL_C, INT

#: Without a pty nothing on a host ends because its ssh client does.
PIPELINING = {"ssh_connection": {"pipelining": True}}

#: Seconds in which it would be seen that something does end after all.
WHILE = 1.0


def interrupt(run: Run, lab: Lab) -> None:
    INT.fire(run, lab)
    assert run.wait(40) == INT.status, run.story


def recap_of(run: Run, host: str) -> str:
    """Return what the recap has about the host."""
    return "\n".join(line for line in run.errors.splitlines() if re.match(rf"{host} +: ", line))


# kill_wait, and the Ctrl-Cs after the first.


@pytest.mark.parametrize("source", ["ansible.cfg", "extra variable"])
def test_without_kill_wait_main_ends_at_once_and_the_tree_a_little_later(
    lab: Lab, web1: Host, source: str
) -> None:
    options: dict[str, Any] = {
        "kill_timeout": 5,
        **({"kill_wait": False} if source == "ansible.cfg" else {}),
    }
    arguments = [] if source == "ansible.cfg" else ["-e", "treekill_kill_wait=no"]
    with started(
        lab, Play([tasks.grow()], options=options, arguments=arguments, kinds=["ignores-signals"])
    ) as run:
        tasks.wait_for_tree(run, [web1])
        interrupt(run, lab)
        assert tasks.alive(run, web1, match="tk-ignores-signals"), f"main has waited\n{run.story}"
        tasks.wait_until_gone(run, [web1])
        tasks.wait_until_nothing_is_left(run)


def test_a_third_ctrl_c_stops_the_wait_and_says_so(lab: Lab, web1: Host) -> None:
    """The host is down, so that neither of the first two can be answered."""
    play = Play(
        [tasks.grow()],
        options={"kill_timeout": 60, "kill_retry_for": 60},
        kinds=["ignores-signals"],
        terminal=True,
    )
    with started(lab, play) as run:
        tasks.wait_for_tree(run, [web1])
        web1.cut()
        run.press_ctrl_c()
        until(lambda: "Ctrl-C again" in run.output, 20, lambda: f"it does not wait\n{run.story}")
        first = time.monotonic()
        # Two within a moment count as one that came by two ways. A user that has read the message
        # is slower.
        until(lambda: time.monotonic() > first + 0.5, 5, "")
        run.press_ctrl_c()
        stays(
            lambda: run.process.poll() is None,
            WHILE,
            "it does not wait any longer after the second",
        )
        run.press_ctrl_c()
        assert run.wait(10) == CTRL_C.status, run.story
        assert "not waiting any longer; the guardian goes on alone" in tasks.said(run), run.story
        web1.heal()
        tasks.wait_until_gone(run, [web1], 90)
        tasks.wait_until_nothing_is_left(run)


# Which processes are ended.


def test_what_carries_treekill_spare_lives_on_with_what_it_starts_and_is_told(
    lab: Lab, web1: Host
) -> None:
    spared = (
        """(export TREEKILL=spare; exec setsid bash -c """
        """'bash -c "$life" tk-spared-child-$row "$ready" & wait' tk-spared-$row "$ready") &"""
    )
    with started(
        lab,
        Play([tasks.grow()], options={"kill_timeout": 1}, sections=PIPELINING, grown_too=spared),
    ) as run:
        tasks.wait_for_tree(run, [web1])
        child = until(
            lambda: web1.processes(f"^tk-spared-child-{run.row} "),
            10,
            lambda: f"no process is to be spared\n{run.story}",
        )[0]
        parent = next(process for process in web1.processes(run.row) if process.pid == child.ppid)
        interrupt(run, lab)
        until(
            lambda: len(tasks.alive(run, web1)) == 2,
            tasks.KILL_SECONDS,
            lambda: f"{tasks.alive(run, web1)}\n{run.story}",
        )
        stays(lambda: child.id.alive() and parent.id.alive(), WHILE, "a spared process is gone")
        assert re.search(r"spared \d \(TREEKILL=spare\): pid .*\b" + str(parent.pid), run.errors), (
            run.story
        )
        tasks.wait_until_nothing_is_left(run)


def test_a_host_with_track_none_is_left_alone(lab: Lab, web1: Host, web2: Host) -> None:
    play = Play(
        [tasks.grow()],
        hosts=("web1", "web2"),
        host_variables={"web2": {"treekill_track": "none"}},
        options={"kill_timeout": 1},
        sections=PIPELINING,
    )
    with started(lab, play) as run:
        tasks.wait_for_tree(run, [web1, web2])
        before = tasks.alive(run, web2)
        assert not [
            process for process in web2.processes() if "TREEKILL" in (process.environ or {})
        ]
        interrupt(run, lab)
        tasks.wait_until_gone(run, [web1])
        tasks.wait_until_nothing_is_left(run, but=[web2])
        stays(
            lambda: tasks.alive(run, web2) == before,
            WHILE,
            f"something has ended there\n{run.story}",
        )
        assert recap_of(run, "web1"), run.story
        assert re.search(
            "left alone, and perhaps running: treekill_track is none", recap_of(run, "web2")
        ), run.story


def test_without_kill_children_only_the_root_is_signalled_and_the_rest_is_told(
    lab: Lab, web1: Host
) -> None:
    with started(
        lab,
        Play(
            [tasks.grow()], options={"kill_timeout": 1, "kill_children": False}, sections=PIPELINING
        ),
    ) as run:
        tasks.wait_for_tree(run, [web1])
        grown = web1.processes(f"^tk-.*{run.row}")
        interrupt(run, lab)
        stays(
            lambda: all(process.id.alive() for process in grown),
            WHILE,
            f"a child was ended\n{run.story}",
        )
        for process in grown:
            assert re.search(
                rf"survivor {process.pid} \(ansible\) {process.command}: .*kill_children",
                run.errors,
            ), run.story
        tasks.wait_until_nothing_is_left(run)


# By which signal.

LISTENER = """
trap 'echo INT >> /tmp/heard-{{ row }}-root; exit 3' INT
trap 'echo TERM >> /tmp/heard-{{ row }}-root; exit 4' TERM
python3 -c '
import signal
def heard(number, frame):
    print(signal.Signals(number).name[3:], file=open("/tmp/heard-{{ row }}-child", "a"), flush=True)
    raise SystemExit
# raw has a pty: when the root has gone, all others are hung up on.
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGINT, heard)
signal.signal(signal.SIGTERM, heard)
open("/tmp/ready-{{ row }}", "w").close()
while True:
    signal.pause()' &
while :; do wait; done
"""


@pytest.mark.parametrize(
    ("options", "root", "child"),
    [
        ({}, "TERM", "TERM"),
        ({"kill_signal": "INT"}, "INT", "TERM"),
        ({"kill_children_signal": "SIGINT"}, "TERM", "INT"),
    ],
    ids=["neither", "kill_signal", "kill_children_signal"],
)
def test_the_first_signal_is_the_one_that_is_asked_for(
    lab: Lab, web1: Host, options: dict[str, str], root: str, child: str
) -> None:
    """With `raw` the root is the shell that runs the very script."""
    # The child is no shell: one that was started in the background ignores INT, and can't change
    # that.
    raw = {"name": "Listen", "ansible.builtin.raw": LISTENER}
    with started(
        lab, Play([raw], options={"kill_timeout": 5, **options}, sections=PIPELINING)
    ) as run:
        until(
            (web1.root / f"tmp/ready-{run.row}").exists,
            40,
            lambda: f"no process listens\n{run.story}",
        )
        interrupt(run, lab)
        tasks.wait_until_gone(run, [web1])
        assert [
            (web1.root / f"tmp/heard-{run.row}-{process}").read_text().split()
            for process in ("root", "child")
        ] == [[root], [child]], run.story


def test_the_signal_can_be_an_argument_of_a_task(lab: Lab, web1: Host) -> None:
    script = (
        "trap 'echo INT > /tmp/heard-{{ row }}; exit' INT; : > /tmp/ready-{{ row }}; mkfifo "
        "/tmp/never-{{ row }}; read -r line <> /tmp/never-{{ row }}"
    )
    task = {
        "name": "Listen",
        "treekill.remote.shell": {
            "cmd": script,
            "kill_signal": "INT",
            "kill_children_signal": "INT",
        },
    }
    with started(lab, Play([task], sections=PIPELINING)) as run:
        until(
            (web1.root / f"tmp/ready-{run.row}").exists,
            40,
            lambda: f"no process listens\n{run.story}",
        )
        interrupt(run, lab)
        tasks.wait_until_gone(run, [web1])
        assert (web1.root / f"tmp/heard-{run.row}").read_text() == "INT\n", run.story


# Asynchronous tasks.


def an_asynchronous_run(poll: int, **options: object) -> Play:
    return Play(
        [tasks.grow(**{"async": 1000, "poll": poll}), tasks.gate()],
        options={"kill_timeout": 1, **options},
    )


def test_a_job_with_poll_0_is_left_alone_and_named_in_the_recap(lab: Lab, web1: Host) -> None:
    with started(lab, an_asynchronous_run(0)) as run:
        tasks.wait_for_tree(run, [web1])
        tasks.wait_at(run, web1)
        grown = web1.processes(f"^tk-.*{run.row}")
        interrupt(run, lab)
        until(
            lambda: not tasks.alive(run, web1, match="gate-"),
            tasks.KILL_SECONDS,
            lambda: f"the other task is alive\n{run.story}",
        )
        stays(
            lambda: all(process.id.alive() for process in grown),
            WHILE,
            f"a process of the job was ended\n{run.story}",
        )
        assert re.search(
            r"^web1 +: left alone: an asynchronous job with poll 0.*Grow a tree",
            run.errors,
            re.MULTILINE,
        ), run.story
        tasks.wait_until_nothing_is_left(run)


def test_with_kill_async_a_job_with_poll_0_is_ended(lab: Lab, web1: Host) -> None:
    with started(lab, an_asynchronous_run(0, kill_async=True)) as run:
        tasks.wait_for_tree(run, [web1])
        tasks.wait_at(run, web1)
        interrupt(run, lab)
        tasks.wait_until_gone(run, [web1])
        tasks.wait_until_nothing_is_left(run)


def test_even_with_kill_async_a_job_with_poll_0_outlives_a_run_that_ends_by_itself(
    lab: Lab, web1: Host
) -> None:
    with started(lab, an_asynchronous_run(0, kill_async=True)) as run:
        tasks.wait_for_tree(run, [web1])
        tasks.wait_at(run, web1)
        grown = web1.processes(f"^tk-.*{run.row}")
        tasks.open_gate(run, web1)
        assert run.wait(40) == 0, run.story
        tasks.wait_until_nothing_is_left(run)
        stays(
            lambda: all(process.id.alive() for process in grown),
            WHILE,
            f"a process of the job was ended\n{run.story}",
        )


def test_a_job_that_is_polled_is_ended(lab: Lab, web1: Host) -> None:
    with started(lab, an_asynchronous_run(1)) as run:
        tasks.wait_for_tree(run, [web1])
        wait_between_polls(run, web1)
        interrupt(run, lab)
        tasks.wait_until_gone(run, [web1])
        assert re.search(r"^web1 +: ended [1-9]", run.errors, re.MULTILINE), run.story
        tasks.wait_until_nothing_is_left(run)
