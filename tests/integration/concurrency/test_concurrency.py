# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ten runs on one host at once.

Five of them are interrupted at random moments. No process of those survives, and none of the others
is touched.

The other five go on from round to round, and end well by themselves. All log in as one user,
through one ControlMaster. Random choices are printed with their results. `--seed` repeats them, as
far as the machine is as fast.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.coverage import covers
from tests.support.coverage.notes import ENDS
from tests.support.hosts import Host, Lab
from tests.support.run import tasks
from tests.support.run.playing import started
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees import census
from tests.support.trees.table import rest
from tests.support.trees.tree import label_of
from tests.support.trees.triggers import HUP, INT, KILL, KILL_GROUP, TERM, TIMEOUT, Trigger

from . import workloads
from .workloads import AT_END, FLAVOURS, SET_UP, Flavour

#: 20 parts of five rounds are a hundred. The others of a part are the five runs that go on.
PARTS, ROUNDS = 20, 5

INTERRUPTED = 5

FAILED = 2  #: exit status after a failed task

TRIGGERS = (INT, TERM, HUP, KILL, KILL_GROUP, TIMEOUT)

#: Seconds of a task's `timeout:`. The task that has one lasts an hour.
TIMEOUTS = (1, 2, 3)

#: Seconds for the kill passes of five runs, on a machine with two cores for all ten.
GONE_SECONDS = 90.0

#: Beyond the usual time of a run, so that some have ended when they are to be interrupted.
BEYOND = 1.25


@dataclass
class Victim:
    """A run to be interrupted."""

    run: Run
    flavour: Flavour
    trigger: Trigger
    at: float  #: seconds after the start of the round
    stage: str = ""
    status: int | None = field(default=None, init=False)

    def fire(self, lab: Lab) -> None:
        """Interrupt it, if it is there still."""
        if self.trigger is TIMEOUT:
            self.stage = "by its timeout"
            return
        self.stage = workloads.stage_of(self.run)
        if self.run.process.poll() is None:
            try:
                self.trigger.fire(self.run, lab)
            except ProcessLookupError:
                pass  # A process group that ended between the look and the signal.

    def __str__(self) -> str:
        return (
            f"{self.run.row} ({self.flavour.name}): {self.trigger.name} after {self.at:.2f} s, "
            f"{self.stage}, status {self.status}"
        )


@pytest.fixture
def sockets() -> Iterator[Path]:
    """Directory where all runs of a test meet their ControlMaster.

    It is gone when the test ends.
    """
    # Short, because the name of a socket has some hundred characters at most.
    directory = Path(tempfile.mkdtemp(prefix="tk-", dir="/tmp"))
    yield directory
    for socket in directory.glob("*"):
        subprocess.run(
            ["ssh", "-O", "exit", "-o", f"ControlPath={socket}", "unused"],
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    shutil.rmtree(directory)


def _in_its_task(run: Run, host: Host) -> None:
    until(
        lambda: host.processes(rf"tk-daemon-cleared-{run.row}-1"),
        60,
        lambda: f"no tree\n{run.story}",
    )


def test_without_the_collection_the_tree_of_an_interrupted_run_survives(
    lab: Lab, sockets: Path
) -> None:
    """The control of the one half."""
    host = lab["web1"]
    with started(
        lab,
        workloads.play(
            FLAVOURS[1], [workloads.work(1, 3600, FLAVOURS[1])], sockets, collection=False
        ),
    ) as run:
        _in_its_task(run, host)
        INT.fire(run, lab)
        assert run.wait(20) is not None, run.story
        assert {label_of(one.command, run.row) for one in workloads.processes_of(host, run)} >= {
            "daemon",
            "daemon-cleared",
            "setsid",
        }


def test_a_run_of_which_one_process_is_killed_does_not_end_well(lab: Lab, sockets: Path) -> None:
    """The control of the other half: what is killed of the others by mistake is noticed."""
    host = lab["web1"]
    with started(
        lab,
        workloads.play(FLAVOURS[1], [workloads.work(1, 2, FLAVOURS[1])], sockets, answer_seconds=1),
    ) as run:
        _in_its_task(run, host)
        host.processes(rf"tk-daemon-cleared-{run.row}-1")[0].id.kill()
        assert run.wait(60) == FAILED, run.story
        assert "daemon-cleared does not answer" in run.output, run.story


def parts() -> list[object]:
    """Return all of them with --every-row: each takes minutes."""
    marks = [
        covers("Concurrency", "ten runs on one host, five of them interrupted", end) for end in ENDS
    ]
    return [
        pytest.param(part, id=f"part-{part + 1:02}", marks=[*marks, rest]) for part in range(PARTS)
    ]


@pytest.mark.parametrize("part", parts())
def test_nothing_of_the_interrupted_survives_and_nothing_of_the_others_is_touched(
    lab: Lab, part: int, sockets: Path, seed: int, record_property: Callable[[str, object], None]
) -> None:
    rng = random.Random(f"{seed} {part}")
    host = lab["web1"]
    stop = sockets / "stop"
    stages: Counter[str] = Counter()
    with ExitStack() as stack:
        others = [
            stack.enter_context(workloads.lasting(lab, flavour, rng, sockets, stop))
            for flavour in FLAVOURS
        ]
        usual = _usual_seconds(lab, sockets, host)
        for _round in range(ROUNDS):
            victims = _play_round(lab, host, rng, sockets, usual)
            stages.update(victim.stage for victim in victims)
            ended = [run.story for run in others if run.process.poll() is not None]
            assert not ended, "not interrupted, and has ended:\n" + "\n".join(ended)
        stop.touch()
        done = [workloads.assert_ended_well(run, host) for run in others]
        assert min(done) > 0
        for run in others:
            tasks.wait_until_nothing_is_left(run)
        left = {process.id for process in host.processes("^tk-left-")}
        assert len(left) == len(others)
        # Processes that no look could assign to a victim. No other process is left there.
        until(
            lambda: not census.of_tree(host, frozenset(left)),
            GONE_SECONDS,
            lambda: f"alive: {census.of_tree(host, frozenset(left))}",
        )
    print(f"usual {usual:.1f} s; interrupted {dict(stages)}; tasks of the others {done}")
    record_property("moments", dict(stages))


def _usual_seconds(lab: Lab, sockets: Path, host: Host) -> float:
    began = time.monotonic()
    with workloads.short(lab, FLAVOURS[0], sockets) as run:
        assert run.wait(120) == 0, run.story
        return time.monotonic() - began


def _play_round(
    lab: Lab, host: Host, rng: random.Random, sockets: Path, usual: float
) -> list[Victim]:
    # Drawn before anything is started, so that a seed gives one result whatever the machine does.
    drawn = sorted((_draw(rng, usual) for _one in range(INTERRUPTED)), key=lambda one: one[0])
    with ExitStack() as stack:
        began = time.monotonic()
        victims = [
            Victim(
                stack.enter_context(
                    workloads.short(lab, flavour, sockets, seconds if trigger is TIMEOUT else None)
                ),
                flavour,
                trigger,
                at,
            )
            for at, flavour, trigger, seconds in drawn
        ]
        for victim in victims:
            time.sleep(max(0.0, began + victim.at - time.monotonic()))
            victim.fire(lab)
        for victim in victims:
            victim.status = victim.run.wait(GONE_SECONDS)
        told = "\n".join(map(str, victims))
        for victim in victims:
            assert victim.status is not None, f"does not end: {victim}\n{told}\n{victim.run.story}"
            _assert_gone(victim, host, told)
    return victims


def _draw(rng: random.Random, usual: float) -> tuple[float, Flavour, Trigger, int]:
    trigger = rng.choice(TRIGGERS)
    # Core's `timeout:` is for the start of an asynchronous job alone. The job has a limit of its
    # own.
    flavour = rng.choice([one for one in FLAVOURS if not (trigger is TIMEOUT and one.task)])
    return rng.uniform(0, BEYOND * usual), flavour, trigger, rng.choice(TIMEOUTS)


def _assert_gone(victim: Victim, host: Host, told: str) -> None:
    run = victim.run

    def alive() -> list[str]:
        return [
            f"{one.pid} of {one.user}: {one.command[:200]}"
            for one in workloads.processes_of(host, run)
        ]

    until(
        lambda: not alive(),
        GONE_SECONDS,
        lambda: f"survived {victim}: {alive()}\nAll of the round:\n{told}\n{run.story}",
    )
    tasks.wait_until_nothing_is_left(run)
    if victim.trigger is TIMEOUT:
        assert victim.status == FAILED, f"{victim}\n{run.story}"
    elif victim.stage not in (SET_UP, AT_END):
        # While an interpreter starts, and while it exits, Ansible does not handle signals. Between
        # the look and the signal a run may have ended.
        assert victim.status in (victim.trigger.status, 0), f"{victim}\n{run.story}"
