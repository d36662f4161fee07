# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks in containers: the engine leaves their processes behind when its client is gone; with the collection nothing survives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.coverage import covers
from tests.hosts import Lab
from tests.matrix import tree
from tests.matrix.bystanders import Companies, Company
from tests.matrix.control import play_control
from tests.matrix.controller import only_worker
from tests.matrix.play import Setting
from tests.matrix.rows import play_row
from tests.matrix.run import Run
from tests.matrix.table import Took, assert_survived_by_nobody, rest
from tests.matrix.triggers import INT, KILL, TIMEOUT, Trigger

from .containers import TransportLab

ENDS = {INT: "interrupt", KILL: "KILL of main", TIMEOUT: "timeout"}

DOCKER, DOCKER_API, PODMAN = "community.docker.docker", "community.docker.docker_api", "containers.podman.podman"

PLUGINS = (DOCKER, DOCKER_API)


@pytest.fixture
def container_lab(request: pytest.FixtureRequest) -> Callable[[str], TransportLab]:
    def lab(plugin: str) -> TransportLab:
        engine: Callable[[str], TransportLab] = request.getfixturevalue("podman_lab" if plugin == PODMAN else "docker_lab")
        return engine(plugin)

    return lab


def _fire(trigger: Trigger) -> Callable[[Run, Lab], None] | None:
    """A container has no address by which the worker of its host is found."""
    return (lambda run, lab: only_worker(run.row, run.process.pid).kill(trigger.fire and 14)) if trigger is TIMEOUT else None


def setting_of(trigger: Trigger, *, pipelining: bool, **more: Any) -> Setting:
    timed: dict[str, Any] = {"keywords": {"timeout": 3600}, "rescue": [{"name": "Rescue", "ansible.builtin.debug": {}}]} if trigger is TIMEOUT else {}
    return Setting(hosts=1, variables={"web1": {"ansible_pipelining": pipelining}}, **timed, **more)


ROWS = [
    pytest.param(plugin, trigger, pipelining, id=f"{plugin}, {trigger.name}, {'pipelining' if pipelining else 'files'}", marks=covers("Connections", plugin, ENDS[trigger]))
    for plugin in PLUGINS
    for trigger in ENDS
    for pipelining in (False, True)
]


@pytest.mark.parametrize(("plugin", "trigger", "pipelining"), ROWS)
def test_nothing_survives(
    container_lab: Callable[[str], TransportLab], companies: Companies, plugin: str, trigger: Trigger, pipelining: bool, took: Took
) -> None:
    among = companies.on(container_lab(plugin))
    outcome = play_row(among, setting_of(trigger, pipelining=pipelining), trigger, fire=_fire(trigger))
    took(outcome.seconds)
    assert_survived_by_nobody(outcome, trigger)
