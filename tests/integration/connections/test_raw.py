# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""raw over these connections, which works and prints as it does without the collection."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.run.playing import Play, started
from tests.support.trees.table import rest

from .containers import TransportLab

COMMAND = """echo 'a  b' ; echo "$0 $#" "c"; exit 3"""

#: Each plugin with the fixture of its hosts.
LABS = {
    "community.docker.docker": "docker_lab",
    "community.docker.docker_api": "docker_lab",
    "containers.podman.podman": "podman_lab",
    "community.general.chroot": "chroot_lab",
}


@pytest.mark.parametrize(
    "plugin", [pytest.param(name, marks=[] if "docker" in name else rest) for name in LABS]
)
def test_raw_does_what_it_does_without_a_guard(request: pytest.FixtureRequest, plugin: str) -> None:
    """The user of the controller may have any shell."""
    lab = request.getfixturevalue(LABS[plugin])
    lab = lab if isinstance(lab, TransportLab) else lab(plugin)
    raw: dict[str, Any] = {"name": "Say it", "ansible.builtin.raw": COMMAND, "ignore_errors": True}
    same = [
        "guarded.stdout == bare.stdout",
        "guarded.stderr == bare.stderr",
        "guarded.rc == bare.rc",
        "'a  b' in bare.stdout or 'a  b' in guarded.stdout",
    ]
    play = Play(
        [
            {**raw, "register": "guarded"},
            {**raw, "register": "bare", "vars": {"treekill_track": "none"}},
            {"name": "Compare", "ansible.builtin.assert": {"that": same}},
        ],
        environ={"SHELL": "/nonexistent"},
    )
    with started(lab, play) as run:
        assert run.wait(60) == 0, run.story
