# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real runs that are over and could not clean up, and others that live beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.hosts import Host, HostProcess, Lab
from tests.support.run import gate, tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees import tree
from tests.support.trees.triggers import LOST_CONTROLLER

PIPELINING = {"ssh_connection": {"pipelining": True}}

#: Kinds that show their cookie, or are below a process that does: others are not found without a
#: supervisor.
KINDS = ("background", "grandchild", "setsid", "nohup", "ignores-signals")

#: Seconds until sshd has noticed, on a busy machine, that its client is gone.
NOTICED_SECONDS = 20.0


@contextmanager
def dead_run(lab: Lab, host: Host, *, supervise: bool = False, **keywords: Any) -> Iterator[Run]:
    """A run whose whole controller was killed while its task ran.

    Its sessions on the host are closed. Its tree lives on. `keywords`: of the play.
    """
    play = Play(
        [tasks.grow()],
        hosts=(host.name,),
        keywords=keywords,
        kinds=KINDS,
        options={"supervise": supervise},
        sections=PIPELINING,
        before=LOST_CONTROLLER.before,
    )
    with started(lab, play) as run:
        tasks.wait_for_tree(run, [host])
        LOST_CONTROLLER.fire(run, lab)
        until(
            lambda: not sessions_above(host, of_run(run, host)),
            NOTICED_SECONDS,
            lambda: f"a session goes on on {host.name}\n{run.story}",
        )
        yield run


@contextmanager
def living_run(
    lab: Lab, host: Host, *, supervise: bool = False, before_gate: str = "", **keywords: Any
) -> Iterator[Run]:
    """A run that waits at a gate. `before_gate`: shell commands that its task runs first."""
    task = {
        "name": "Stand at the gate",
        "ansible.builtin.shell": before_gate + gate.script("{{ row }}"),
        **keywords,
    }
    play = Play([task], hosts=(host.name,), options={"supervise": supervise}, sections=PIPELINING)
    with started(lab, play) as run:
        tasks.wait_at(run, host)
        yield run


def let_go(run: Run, host: Host) -> None:
    """Open the gate of a living run, which must end well: no process of it was touched."""
    tasks.open_gate(run, host)
    assert run.wait(60) == 0, run.story


def of_run(run: Run, host: Host) -> list[HostProcess]:
    """Return the run's processes there, those of its tree and those above it."""
    return list(host.processes(run.row))


def members(run: Run, host: Host) -> set[int]:
    """Return the pids of the tree's own processes, by their labels."""
    return {process.pid for process in host.processes(rf"^tk-[a-z-]+-{run.row} ")}


def sessions_above(host: Host, processes: list[HostProcess]) -> list[HostProcess]:
    """Return the processes of sshd, but for its listener, that are parents of these."""
    every = {process.pid: process for process in host.processes(system=True)}
    return [
        every[process.ppid]
        for process in processes
        if process.ppid != 1 and process.ppid in every and every[process.ppid].system
    ]


def kinds(run: Run, host: Host) -> set[str | None]:
    """Return the kinds of the run's tree that are alive there."""
    return {tree.label_of(process.command, run.row) for process in host.processes(run.row)} - {None}
