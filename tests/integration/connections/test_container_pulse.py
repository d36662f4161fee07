# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole controller is gone while tasks run in containers.

The engine keeps the output of a command open. The pulse of the run is what ends.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark import ParameterSet

from tests.support.coverage import covers
from tests.support.hosts import Host, HostProcess, Lab, ProcessId
from tests.support.run import controller, gate
from tests.support.run.play import Setting
from tests.support.run.run import Run, started
from tests.support.run.waiting import stays, until
from tests.support.trees import tree
from tests.support.trees.bystanders import Company
from tests.support.trees.pulses import GRACE, PULSE, attached, wait_for_pulse
from tests.support.trees.rows import SLACK, play_row, tidy
from tests.support.trees.table import Took, assert_nothing_survived, rest
from tests.support.trees.triggers import LOST_CONTROLLER

from .ends import setting_of
from .test_containers import DOCKER, DOCKER_API, PLUGINS, PODMAN, Labs, among_of, lab_of

__all__ = ("among_of", "lab_of")

POLLED = {"async": 3600, "poll": 1}

#: The monitor of podman serves one command in a container. It is no part of the controller.
_MONITOR = "conmon"

#: What a pulse may take in a container.
MOST_MEMORY_BYTES = 15 * 1024**2

#: What a client of a pulse has on its command line, and no other one.
OF_A_PULSE = "there is no Python 3.6"


def of_controller(run: Run) -> list[controller.Local]:
    """Return all processes of the run on this machine."""
    return [one for one in controller.processes(run.row) if _MONITOR not in one.command]


def kill_everything(run: Run, lab: Lab) -> None:
    """Kill all of the run here. Not one of its processes can do anything about the others' end."""
    stopped: set[ProcessId] = set()
    while new := [one.id for one in of_controller(run) if one.id not in stopped]:
        for one in new:
            one.kill(signal.SIGSTOP)
        stopped.update(new)
    for process in of_controller(run):
        process.id.kill()


#: podman can't reach a container from a process namespace of its own, so there is none here.
LOST = replace(LOST_CONTROLLER, fire=kill_everything, before=())


def setting(pipelining: bool, **more: Any) -> Setting:
    """Return the setting for one container."""
    return setting_of(LOST, pipelining=pipelining, **more)


def _row(
    plugin: str, pipelining: bool, keywords: Mapping[str, object], *, whenever: bool
) -> ParameterSet:
    way = "asynchronous job" if keywords else "pipelining" if pipelining else "files"
    marks = [covers("Containers", plugin, way)] + ([] if whenever else [rest])
    return pytest.param(plugin, pipelining, keywords, id=f"{plugin}, {way}", marks=marks)


#: The rows that are always run.
USUAL = {(DOCKER, True), (DOCKER_API, False), (PODMAN, True)}

EVERY = [
    *(
        _row(plugin, pipelining, {}, whenever=(plugin, pipelining) in USUAL)
        for plugin in PLUGINS
        for pipelining in (False, True)
    ),
    *(_row(plugin, True, POLLED, whenever=plugin == DOCKER_API) for plugin in PLUGINS),
]


@pytest.mark.parametrize(("plugin", "pipelining", "keywords"), EVERY)
def test_nothing_survives(
    among_of: Callable[[str], Company],
    plugin: str,
    pipelining: bool,
    keywords: Mapping[str, object],
    took: Took,
) -> None:
    """The container sees the end of the pulse, and no other one comes."""
    row = setting(pipelining, keywords=keywords)
    outcome = play_row(
        among_of(plugin),
        row,
        LOST,
        when=wait_for_pulse,
        patience=GRACE + row.kill_timeout + SLACK,
    )
    took(outcome.seconds)
    assert_nothing_survived(outcome, LOST)


@pytest.mark.parametrize("plugin", [DOCKER, pytest.param(PODMAN, marks=rest)])
def test_nothing_survives_of_a_task_that_became_another_user(
    among_of: Callable[[str], Company], plugin: str, took: Took
) -> None:
    """The pulse becomes that user as well."""
    row = setting(True, become="another user", kinds=tree.WITHOUT_SUDO)
    outcome = play_row(
        among_of(plugin), row, LOST, when=wait_for_pulse, patience=GRACE + row.kill_timeout + SLACK
    )
    took(outcome.seconds)
    assert_nothing_survived(outcome, LOST)


# The controls.


@pytest.mark.parametrize(
    "plugin", [pytest.param(one, marks=[] if one == DOCKER else [rest]) for one in PLUGINS]
)
def test_without_a_pulse_the_tree_survives(among_of: Callable[[str], Company], plugin: str) -> None:
    """The supervisor alone sees nothing."""
    row = setting(True, kinds=tree.COOPERATIVE, options={"on_disconnect": "keep"})
    outcome = play_row(among_of(plugin), row, LOST, patience=GRACE)
    assert outcome.alive >= {*tree.COOPERATIVE}, outcome.story


# Runs that go on.


@dataclass(frozen=True)
class Scene:
    """A container, and the processes that were there before."""

    lab: Lab
    host: Host
    known: frozenset[ProcessId]

    def task_of(self, run: Run) -> set[ProcessId]:
        """Return the processes of a task that waits at its gate."""
        found = self.host.processes(rf"^tk-[a-z-]+-{run.row} |/tmp/gate-{run.row}")
        return {process.id for process in found}

    @property
    def pulses(self) -> list[HostProcess]:
        """The pulses that are new there."""
        return [one for one in self.host.processes(PULSE) if one.id not in self.known]

    def wait_for_pulses(self, run: Run, number: int = 1) -> None:
        """Return when so many runs have a pulse to which a supervisor is connected."""

        def connected() -> set[str]:
            runs = {one.command.split()[-1] for one in self.pulses}
            return {name for name in runs if attached(self.host, name)}

        until(
            lambda: len(connected()) == number,
            20,
            lambda: f"supervisors of {connected()} are connected to a pulse\n{run.story}",
        )


@pytest.fixture
def scene_of(lab_of: Labs) -> Iterator[Callable[[str], Scene]]:
    """Function that returns a container. What a test leaves there is killed."""
    scenes: list[Scene] = []

    def scene(plugin: str) -> Scene:
        lab = lab_of(plugin)
        host = lab["web1"]
        scenes.append(Scene(lab, host, frozenset(one.id for one in host.processes())))
        return scenes[-1]

    yield scene
    for one in scenes:
        tidy([one.host], {one.host.name: one.known})


def memory_of(process: HostProcess) -> int:
    """Return the bytes that it has in memory."""
    status = Path(f"/proc/{process.id.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def lose_the_pulse(run: Run, scene: Scene, plugin: str) -> None:
    """Kill the client of the pulse. The API has no client: there, kill the pulse itself."""
    found: Sequence[HostProcess | controller.Local] = scene.pulses
    if plugin != DOCKER_API:
        found = [one for one in of_controller(run) if OF_A_PULSE in one.command]
    assert len(found) == 1, f"not one: {[*map(str, found)]}"
    found[0].id.kill()


@pytest.mark.parametrize(
    "plugin", [pytest.param(one, marks=rest if one == PODMAN else []) for one in PLUGINS]
)
def test_a_lost_pulse_costs_a_run_that_goes_on_nothing(
    scene_of: Callable[[str], Scene], plugin: str
) -> None:
    """The run has another one in time. Its result is that of an undisturbed run."""
    scene = scene_of(plugin)
    host = scene.host
    with started(scene.lab, setting(True), collection=True, script=gate.after_daemons) as run:
        gate.wait_at(run, host)
        scene.wait_for_pulses(run)
        present, first = scene.task_of(run), scene.pulses
        assert memory_of(first[0]) <= MOST_MEMORY_BYTES
        lose_the_pulse(run, scene, plugin)
        until(
            lambda: scene.pulses and scene.pulses != first,
            20,
            lambda: f"no other pulse\n{run.story}",
        )
        stays(lambda: scene.task_of(run) == present, GRACE, f"something has ended\n{run.story}")
        scene.wait_for_pulses(run)
        gate.open_gate(run, host)
        assert run.wait(40) == 0, run.story
        assert "changed: [web1]" in run.output.partition("Run a script")[2], run.story
        assert "NOT PROTECTED" not in run.errors, run.story
        until(lambda: not scene.pulses, 10, lambda: f"a pulse is left\n{run.story}")


def test_a_tree_of_another_run_lives_on(scene_of: Callable[[str], Scene]) -> None:
    """Two runs have tasks in one container, as the same user. One loses its whole controller."""
    scene = scene_of(DOCKER)
    with (
        started(scene.lab, setting(True), collection=True, script=gate.after_daemons) as other,
        started(scene.lab, setting(True), collection=True, script=gate.after_daemons) as run,
    ):
        for one in (other, run):
            gate.wait_at(one, scene.host)
        scene.wait_for_pulses(run, 2)
        present = scene.task_of(other)
        LOST.fire(run, scene.lab)
        until(lambda: not scene.task_of(run), GRACE + SLACK, lambda: f"it lives\n{run.story}")
        assert scene.task_of(other) == present, other.story
        gate.open_gate(other, scene.host)
        assert other.wait(40) == 0, other.story
