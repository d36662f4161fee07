# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection that is lost while the run goes on.

The tree behind it is ended, or kept if the task has it so.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from tests.support.hosts import Host, Lab
from tests.support.run import controller, tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.run.waiting import stays, until
from tests.support.trees.triggers import INT

#: Without a pty nothing on a host ends because its ssh client does.
PIPELINING = {"ssh_connection": {"pipelining": True}}


def kill_client(run: Run, host: Host) -> None:
    """Kill the ssh client that the task's worker waits for."""
    clients = [
        process
        for process in controller.processes(run.row)
        if process.is_ssh and host.address in process.command.split()
    ]
    assert clients, run.story
    for client in clients:
        client.id.kill()


def a_play(**keywords: Any) -> Play:
    """Return a play with a tree that is lost, and a run that goes on nevertheless."""
    lost = tasks.grow(ignore_errors=True, ignore_unreachable=True, **keywords)
    return Play(
        [lost, tasks.gate(), tasks.trace()], options={"kill_timeout": 1}, sections=PIPELINING
    )


def test_a_tree_whose_connection_was_lost_is_ended_while_the_run_goes_on(
    lab: Lab, web1: Host
) -> None:
    with started(lab, a_play()) as run:
        tasks.wait_for_tree(run, [web1])
        kill_client(run, web1)
        tasks.wait_at(run, web1)
        until(
            lambda: not tasks.alive(run, web1, match="tk-"),
            tasks.KILL_SECONDS,
            lambda: f"{tasks.alive(run, web1)}\n{run.story}",
        )
        tasks.open_gate(run, web1)
        assert run.wait(40) == 0, run.story
        assert tasks.has_left_trace(run, web1), run.story
        tasks.wait_until_nothing_is_left(run)
        assert re.search(r"^web1 +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE), (
            run.story
        )


@pytest.mark.parametrize("source", ["variable of the task", "variable of the host", "ansible.cfg"])
def test_on_disconnect_keep_keeps_it(lab: Lab, web1: Host, source: str) -> None:
    play = a_play(
        **({"vars": {"treekill_on_disconnect": "keep"}} if source == "variable of the task" else {})
    )
    if source == "variable of the host":
        play = replace(play, variables={"treekill_on_disconnect": "keep"})
    if source == "ansible.cfg":
        play = replace(play, options={**play.options, "on_disconnect": "keep"})
    with started(lab, play) as run:
        tasks.wait_for_tree(run, [web1])
        grown = web1.processes(f"^tk-.*{run.row}")
        kill_client(run, web1)
        tasks.wait_at(run, web1)
        stays(
            lambda: all(process.id.alive() for process in grown),
            2.0,
            f"a process was ended\n{run.story}",
        )
        # What was kept is kept from an interruption too.
        INT.fire(run, lab)
        assert run.wait(40) == INT.status, run.story
        tasks.wait_until_nothing_is_left(run)
        assert all(process.id.alive() for process in grown), run.story
        assert re.search(
            r"^web1 +: left alone: .*on_disconnect is keep \(task: Grow a tree\)",
            run.errors,
            re.MULTILINE,
        ), run.story
