# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every module and every role has examples, and they work as they are described."""

from __future__ import annotations

import pytest

from tests.docs.examples.claims import CLAIMS, block
from tests.docs.examples.documented import Example, is_play, of_modules, of_roles
from tests.docs.examples.pages import ROOT, pieces
from tests.docs.examples.stages import STAGES, Scene
from tests.support.hosts import Lab
from tests.support.run.playing import Play, started

EXAMPLES = [*of_modules(), *of_roles()]

# All plays of the pages of roles.
CLAIMS.update(
    {
        block(piece.page, piece.text): __name__
        for piece in pieces()
        if piece.page.startswith("roles/") and is_play(piece)
    }
)

#: Seconds for the longest of them, on a busy machine.
SECONDS = 180.0


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_runs_as_it_stands(lab: Lab, example: Example) -> None:
    assert example.playbook, f"{example} has no example"
    assert all(text.strip() for dummy, text in example.files), f"{example} has no example"
    assert example.name in STAGES, (
        f"nothing in {__package__}.stages shows that the examples of {example} work"
    )
    scene = Scene(lab, files=dict(example.files))
    with STAGES[example.name](scene):
        # No connection stays: one that is older than a change of sshd's configuration would not
        # have it.
        sections = {"ssh_connection": {"pipelining": True, "ssh_args": "-o ControlMaster=no"}}
        with started(lab, Play(text=example.playbook, files=scene.files, sections=sections)) as run:
            status = run.wait(SECONDS)
            scene.output = run.output
            assert status == 0, run.story
            assert "failed=0" in scene.output, run.story


def test_no_module_and_no_role_is_overlooked() -> None:
    """The control: there are as many as there are files."""
    modules = [
        path.stem
        for path in (ROOT / "plugins/modules").iterdir()
        if path.suffix == ".py" and path.name != "__init__.py"
    ]
    roles = [f"role {path.name}" for path in (ROOT / "roles").iterdir() if path.is_dir()]
    assert sorted(example.name for example in EXAMPLES) == sorted([*modules, *roles])
