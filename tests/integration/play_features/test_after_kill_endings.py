# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The run after the kill does not last for ever, and can be interrupted itself.

It ends as other runs do: with no live process on its hosts.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.coverage import covers
from tests.support.hosts import Host, Lab, ProcessId
from tests.support.run import controller, gate, tasks
from tests.support.run.playing import started
from tests.support.run.run import Run
from tests.support.run.waiting import stays, until
from tests.support.trees.table import rest
from tests.support.trees.triggers import CTRL_C, INT, KILL

from .after_kill import play

#: It waits at a gate that is never opened, with a child that hides.
ENDLESS: list[dict[str, Any]] = [
    {
        "name": "Last for ever",
        "ansible.builtin.shell": (
            "setsid bash -c 'exec -a after-hidden-{{ row }} sleep 7200' < /dev/null > "
            "/dev/null 2>&1 &\n"
        )
        + gate.script("{{ row }}", "after"),
    },
]


def wait_at_after(run: Run, host: Host) -> None:
    """Return when the run after the kill waits at its gate."""
    ready = host.root / f"tmp/gate-{run.row}-after.ready"
    until(ready.exists, 60, lambda: f"no task comes to the gate\n{run.story}")
    until(
        lambda: tasks.alive(run, host, match="^after-hidden"),
        10,
        lambda: f"the child does not hide\n{run.story}",
    )


def after_run_of(run: Run) -> ProcessId:
    """Return its main process."""
    # Its guardian and its workers are forks of it, and look like it.
    return min(
        (one.id for one in controller.processes(run.row) if "/after-" in one.command),
        key=lambda one: one.start,
    )


@contextmanager
def standing(lab: Lab, host: Host, **more: Any) -> Iterator[Run]:
    """A run whose after-run waits at its gate."""
    options = {"after_kill_timeout": 600, **more.pop("options", {})}
    trigger = more.pop("trigger", INT)
    with started(lab, play(ENDLESS, options=options, terminal=trigger.terminal, **more)) as run:
        tasks.wait_for_tree(run, [host])
        trigger.fire(run, lab)
        wait_at_after(run, host)
        yield run


def assert_over(run: Run, host: Host) -> None:
    tasks.wait_until_gone(run, [host], 60)
    tasks.wait_until_nothing_is_left(run)


@covers("Play features", "after_kill", "timeout")
@rest
def test_it_is_ended_when_its_time_is_over(lab: Lab, web1: Host) -> None:
    with standing(lab, web1, options={"after_kill_timeout": 25}) as run:
        assert run.wait(60) == INT.status, run.story
        assert_over(run, web1)
        assert re.search(
            r"after_kill: after.yml was interrupted \(after_kill_timeout\) after [0-9.]+ s",
            run.errors,
        ), run.story


@covers("Play features", "after_kill", "interrupt")
def test_a_ctrl_c_ends_it_and_its_tree(lab: Lab, web1: Host) -> None:
    with standing(lab, web1, trigger=CTRL_C) as run:
        stays(lambda: run.process.poll() is None, 1.0, f"main does not wait\n{run.story}")
        run.press_ctrl_c()
        assert run.wait(60) == CTRL_C.status, run.story
        assert_over(run, web1)
        assert re.search(r"after_kill: after.yml was interrupted \(Ctrl-C\) after", run.output), (
            run.story
        )
        assert re.search(r"\| web1 : ended [1-9]\d* .*survivors 0", run.output), (
            f"its own recap is not shown\n{run.story}"
        )


@rest
def test_another_ctrl_c_ends_the_wait_and_nothing_else(lab: Lab, web1: Host) -> None:
    """Its host is cut off, so that it can't end."""
    with standing(lab, web1, trigger=CTRL_C) as run:
        web1.cut()
        run.press_ctrl_c()
        first = time.monotonic()
        until(lambda: time.monotonic() > first + 0.5, 5, "")
        run.press_ctrl_c()
        assert run.wait(10) == CTRL_C.status, run.story
        assert "not waiting any longer; the guardian goes on alone" in tasks.said(run), run.story
        web1.heal()
        tasks.wait_until_gone(run, [web1], 90)
        until(
            lambda: not controller.processes(run.row),
            60,
            lambda: f"left: {controller.processes(run.row)}",
        )


@rest
def test_it_goes_on_when_the_main_process_is_killed(lab: Lab, web1: Host) -> None:
    with standing(lab, web1) as run:
        KILL.fire(run, lab)
        assert run.wait(20) == KILL.status, run.story
        stays(lambda: tasks.alive(run, web1, match="^after-hidden"), 1.0, "it was ended with it")
        tasks.open_gate(run, web1, "after")
        until(
            lambda: not [one for one in controller.processes(run.row) if one.is_ansible],
            40,
            lambda: f"left: {controller.processes(run.row)}",
        )
        # What it has left on purpose lives on.
        assert tasks.alive(run, web1, match="^after-hidden")


@covers("Play features", "after_kill", "KILL of main")
def test_when_it_is_killed_itself_its_tree_is_ended_and_that_is_told(lab: Lab, web1: Host) -> None:
    with standing(lab, web1) as run:
        after_run_of(run).kill()
        assert run.wait(60) == INT.status, run.story
        assert_over(run, web1)
        assert re.search(r"after_kill: after.yml FAILED \(signal 9\)", run.errors), run.story


@rest
def test_main_does_not_wait_for_it_without_kill_wait(lab: Lab, web1: Host) -> None:
    with standing(lab, web1, options={"kill_wait": False}) as run:
        assert run.wait(10) == INT.status, run.story
        tasks.open_gate(run, web1, "after")
        until(
            lambda: not [one for one in controller.processes(run.row) if one.is_ansible],
            40,
            lambda: f"left: {controller.processes(run.row)}",
        )


@rest
def test_what_it_starts_has_no_after_kill_of_its_own(lab: Lab, web1: Host) -> None:
    """If it were interrupted, it would otherwise be followed by itself, for ever."""
    with standing(lab, web1) as run:
        after_run_of(run).kill(signal.SIGINT)
        assert run.wait(60) == INT.status, run.story
        # Another one would wait at the gate again.
        assert_over(run, web1)
        assert "after_kill: " not in "".join(
            line for line in run.errors.splitlines() if line.startswith("  | ")
        ), run.story
