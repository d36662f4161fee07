# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks in containers.

The engine leaves their processes behind when its client is gone. With the collection no process
survives.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from _pytest.mark import ParameterSet

from tests.support.coverage import covers
from tests.support.hosts import Lab
from tests.support.run import controller
from tests.support.run.control import play_control
from tests.support.run.run import Run
from tests.support.trees import tree
from tests.support.trees.bystanders import Companies, Company
from tests.support.trees.rows import play_row
from tests.support.trees.table import Took, assert_nothing_survived, rest
from tests.support.trees.triggers import INT, KILL, TIMEOUT, Trigger

from .containers import TransportLab
from .ends import ENDS, fire_of, setting_of

DOCKER, DOCKER_API, PODMAN, LXD, INCUS, KUBECTL = (
    "community.docker.docker",
    "community.docker.docker_api",
    "containers.podman.podman",
    "community.general.lxd",
    "community.general.incus",
    "kubernetes.core.kubectl",
)

PLUGINS = (DOCKER, DOCKER_API, PODMAN, LXD, INCUS, KUBECTL)

#: The names of their fixtures. Pods are containers of docker.
_LABS = {PODMAN: "podman_lab", LXD: "lxd_lab", INCUS: "lxd_lab"}

Labs = Callable[[str], TransportLab]


@pytest.fixture
def lab_of(request: pytest.FixtureRequest) -> Labs:
    """Function that returns the containers for the name of a connection plugin."""

    def lab(plugin: str) -> TransportLab:
        engine: Labs = request.getfixturevalue(_LABS.get(plugin, "docker_lab"))
        return engine(plugin)

    return lab


@pytest.fixture
def among_of(lab_of: Labs, companies: Companies) -> Callable[[str], Company]:
    """Function that returns bystanders in them."""
    return lambda plugin: companies.on(lab_of(plugin))


def _row(
    plugin: str, trigger: Trigger, pipelining: bool, *, whenever: bool = False
) -> ParameterSet:
    name = f"{plugin}, {trigger.name}, {'pipelining' if pipelining else 'files'}"
    marks = [covers("Connections", plugin, ENDS[trigger])] + ([] if whenever else [rest])
    return pytest.param(plugin, trigger, pipelining, id=name, marks=marks)


#: The rows that are always run: every plugin, every end.
USUAL = {
    (DOCKER, INT, False),
    (DOCKER_API, KILL, True),
    (DOCKER, TIMEOUT, True),
    (PODMAN, INT, True),
}

EVERY = [
    (plugin, trigger, pipelining)
    for plugin in PLUGINS
    for trigger in ENDS
    for pipelining in (False, True)
]


@pytest.mark.parametrize(
    ("plugin", "trigger", "pipelining"), [_row(*row, whenever=row in USUAL) for row in EVERY]
)
def test_nothing_survives(
    among_of: Callable[[str], Company], plugin: str, trigger: Trigger, pipelining: bool, took: Took
) -> None:
    """With the supervisor, a cleared environment and lost parents do not save a process."""
    outcome = play_row(
        among_of(plugin), setting_of(trigger, pipelining=pipelining), trigger, fire=fire_of(trigger)
    )
    took(outcome.seconds)
    assert_nothing_survived(outcome, trigger)


@pytest.mark.parametrize(
    ("plugin", "trigger", "pipelining"),
    [_row(plugin, trigger, trigger is KILL) for plugin in PLUGINS for trigger in ENDS],
)
def test_nothing_that_can_be_found_survives_without_a_supervisor(
    among_of: Callable[[str], Company], plugin: str, trigger: Trigger, pipelining: bool, took: Took
) -> None:
    """The kill pass comes by a new exec.

    It finds descendants and cookies in the container's own /proc.
    """
    setting = setting_of(trigger, pipelining=pipelining, supervise=False, kinds=tree.UNSUPERVISED)
    outcome = play_row(among_of(plugin), setting, trigger, fire=fire_of(trigger))
    took(outcome.seconds)
    assert_nothing_survived(outcome, trigger)


BECOMING = [
    pytest.param(plugin, become, id=f"{plugin}, {become}", marks=rest)
    for plugin in PLUGINS
    for become in ("root, no password", "another user")
]


@pytest.mark.parametrize(("plugin", "become"), BECOMING)
def test_nothing_survives_of_a_task_that_became_another_user(
    among_of: Callable[[str], Company], plugin: str, become: str, took: Took
) -> None:
    """The pass becomes that user, in the container."""
    kinds = tree.WITHOUT_SUDO if become == "another user" else tree.FULL
    outcome = play_row(
        among_of(plugin), setting_of(KILL, pipelining=True, become=become, kinds=kinds), KILL
    )
    took(outcome.seconds)
    assert_nothing_survived(outcome, KILL)


def _kill_client(run: Run, lab: Lab) -> None:
    clients = [
        process
        for process in controller.processes(run.row)
        if " exec " in process.command and not process.is_ansible
    ]
    assert clients, f"no client runs\n{run.story}"
    for client in clients:
        client.id.kill()


@pytest.mark.parametrize("plugin", [pytest.param(DOCKER), pytest.param(PODMAN, marks=rest)])
def test_the_tree_of_a_client_that_was_killed_is_ended(
    among_of: Callable[[str], Company], plugin: str, took: Took
) -> None:
    """The engine goes on with what its client has started: only a kill order ends that.

    The task fails, as it does without the collection.
    """
    outcome = play_row(among_of(plugin), setting_of(INT, pipelining=True), INT, fire=_kill_client)
    took(outcome.seconds)
    assert_nothing_survived(outcome, INT, status=2)


# The controls.


UNGUARDED = [
    pytest.param(
        plugin,
        trigger,
        id=f"{plugin}, {trigger.name}",
        marks=[] if (plugin, trigger) == (DOCKER, INT) else [rest],
    )
    for plugin in PLUGINS
    for trigger in (INT, KILL)
]


@pytest.mark.parametrize(("plugin", "trigger"), UNGUARDED)
def test_without_the_collection_the_tree_survives(
    lab_of: Labs, plugin: str, trigger: Trigger
) -> None:
    """All of it survives."""
    remains = play_control(lab_of(plugin), setting_of(trigger, pipelining=False), trigger)
    assert remains.survivors >= {*tree.FULL}, remains.story
    assert remains.status == trigger.status, remains.story
