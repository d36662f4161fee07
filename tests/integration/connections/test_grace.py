# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A clean-up of two seconds is finished on every connection, and the recap says how it ended."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.grace import jobs
from tests.support.hosts import Lab
from tests.support.run import tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees.table import rest
from tests.support.trees.triggers import INT

from .test_containers import DOCKER, DOCKER_API, PODMAN

CHROOT, LOCAL, DELEGATED = "community.general.chroot", "local", "delegate_to"

#: Seconds of grace: too few for the clean-up, and enough.
SHORT, LONG = 0.5, 10.0


@dataclasses.dataclass(frozen=True)
class Scene:
    """Where the task runs."""

    lab: Lab
    root: Path
    task: dict[str, Any]
    play: dict[str, Any]


@pytest.fixture
def scene_of(request: pytest.FixtureRequest) -> Callable[[str], Scene]:
    """Function that returns the scene for the name of a connection."""

    def scene(connection: str) -> Scene:
        if connection in (LOCAL, DELEGATED):
            here = {"delegate_to": "localhost"} if connection == DELEGATED else {}
            play = {"connection": LOCAL} if connection == LOCAL else {}
            return Scene(request.getfixturevalue("lab"), Path("/"), here, play)
        lab = request.getfixturevalue(
            {CHROOT: "chroot_lab", PODMAN: "podman_lab"}.get(connection, "docker_lab")
        )
        lab = lab if connection == CHROOT else lab(connection)
        jobs.put_on(lab["web1"])
        return Scene(lab, lab["web1"].root, {}, {})

    return scene


@contextmanager
def begun(scene: Scene, action: str, pipelining: bool, grace: float) -> Iterator[Run]:
    """Start the task, and wait until its command is ready for the signal."""
    program = "/bin/bash {{ playbook_dir }}/job.sh" if scene.root == Path("/") else "/tmp/job.sh"
    play = Play(
        [
            {
                "name": "Work",
                f"ansible.builtin.{action}": f"{program} plain {{{{ row }}}} TERM",
                **scene.task,
            }
        ],
        keywords=scene.play,
        options={"kill_timeout": grace},
        sections={"connection": {"pipelining": pipelining}},
        files={"job.sh": jobs.SHELL},
    )
    with started(scene.lab, play) as run:
        try:
            until(
                (scene.root / f"tmp/begun-{run.row}").exists,
                40,
                lambda: f"it has not begun\n{run.story}",
            )
            yield run
        finally:
            for path in (scene.root / "tmp").glob(f"*-{run.row}"):
                path.unlink()


def _row(connection: str, action: str, pipelining: bool) -> Any:
    usual = (connection, action) in ((DOCKER, "shell"), (CHROOT, "command"), (LOCAL, "command"))
    return pytest.param(
        connection,
        action,
        pipelining,
        id=f"{connection}, {action}, {'pipelining' if pipelining else 'files'}",
        marks=[] if usual and not pipelining else [rest],
    )


ROWS = [
    _row(connection, action, pipelining)
    for connection in (DOCKER, DOCKER_API, PODMAN, CHROOT, LOCAL, DELEGATED)
    for action in ("command", "shell")
    for pipelining in (False, True)
]


@pytest.mark.parametrize(("connection", "action", "pipelining"), ROWS)
def test_a_clean_up_is_finished(
    scene_of: Callable[[str], Scene], connection: str, action: str, pipelining: bool
) -> None:
    scene = scene_of(connection)
    with begun(scene, action, pipelining, LONG) as run:
        INT.fire(run, scene.lab)
        assert run.wait(60) == INT.status, run.story
        assert (scene.root / f"tmp/cleaned-{run.row}").exists(), run.story
        assert re.search(r"^\S+ +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE), (
            run.story
        )
        assert re.search(rf"job\.sh plain {run.row} TERM .*ended on TERM in 2\.\d s", run.errors), (
            run.story
        )
        tasks.wait_until_nothing_is_left(run)


@pytest.mark.parametrize("connection", [DOCKER, LOCAL])
def test_a_clean_up_that_takes_longer_than_its_grace_is_killed(
    scene_of: Callable[[str], Scene], connection: str
) -> None:
    """The control. The recap says that as well."""
    scene = scene_of(connection)
    with begun(scene, "command", False, SHORT) as run:
        INT.fire(run, scene.lab)
        assert run.wait(60) == INT.status, run.story
        assert not (scene.root / f"tmp/cleaned-{run.row}").exists(), run.story
        assert re.search(rf"job\.sh plain {run.row} TERM .*KILL after 0\.[5-9]", run.errors), (
            run.story
        )
