# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The workflow of GitHub runs what people run by hand.

These are commands of the Makefile, on each supported core with the oldest and the newest of its
Pythons.
"""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from tools.environment import __main__ as environment
from tools.environment import _setup
from tools.environment._commands import SetupError
from tools.environment._cores import CORES, dotted
from tools.environment._gates import GATES
from tools.environment._interpreters import Interpreter
from tools.environment._paths import ROOT


def load(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    return load("ci.yml")


def test_every_core_is_tested_on_the_oldest_and_the_newest_python_that_it_runs_on(
    workflow: dict[str, Any],
):
    rows = [
        (row["core"], row["python"])
        for row in workflow["jobs"]["test"]["strategy"]["matrix"]["include"]
    ]
    assert rows == [
        (core.version, dotted(python)) for core in CORES.values() for python in core.python
    ]


def test_sanity_tests_run_on_every_core_and_on_the_next_one(workflow: dict[str, Any]):
    """Their image has every Python that a core supports."""
    job = workflow["jobs"]["sanity"]
    rows = {row["core"]: row["python"] for row in job["strategy"]["matrix"]["include"]}
    newest = {f"stable-{core.version}": dotted(core.python[-1]) for core in CORES.values()}
    assert rows == {**newest, "devel": [*newest.values()][-1]}
    assert "ansible-test sanity --docker" in " ".join(step.get("run", "") for step in job["steps"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ci.yml", ["lint", "test", "integration"]),
        ("docs.yml", ["docs"]),
        ("release.yml", ["lint", "build"]),
        ("endurance.yml", ["endurance"]),
    ],
)
def test_each_workflow_runs_targets_of_the_makefile(name: str, expected: list[str]):
    commands = [
        step["run"] for job in load(name)["jobs"].values() for step in job["steps"] if "run" in step
    ]
    targets = [
        target
        for command in commands
        for target in re.findall(r"\bmake (?:--silent )?([a-z-]+)", command)
    ]
    assert targets == expected
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    assert all(
        f"{name} ?=" in makefile
        for command in commands
        for name in re.findall(r" ([A-Z_]+)=", command)
        if name not in ("PATH", "CI")
    )


def test_the_hook_before_a_commit_runs_gates_that_are_there():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))[
        "repos"
    ]
    words = repository["hooks"][0]["entry"].split()
    options = environment.parse(words[words.index("tools.environment") + 1 :])
    assert options.command == "lint"
    assert set(options.gates) <= set(GATES)


def test_a_release_has_the_notes_of_its_version_alone():
    (step,) = [
        step
        for step in load("release.yml")["jobs"]["release"]["steps"]
        if "awk" in step.get("run", "")
    ]
    program = re.search(r"awk [^']*'([^']+)'", step["run"])
    assert program
    printed = subprocess.run(
        ["awk", "-v", "version=1.0.0", program[1], ROOT / "CHANGELOG.md"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert printed.startswith("## v1\\.0\\.0\n")
    assert re.findall(r"^## .*", printed, re.MULTILINE) == ["## v1\\.0\\.0"]


def test_it_runs_on_a_schedule_too(workflow: dict[str, Any]):
    assert workflow["on"]["schedule"]


def test_a_python_that_was_asked_for_is_never_replaced_by_another(monkeypatch: pytest.MonkeyPatch):
    here = {
        (3, minor): Interpreter(f"/usr/bin/python3.{minor}", (3, minor, 0), True)
        for minor in (11, 12)
    }
    monkeypatch.setattr(_setup, "interpreters", lambda: here)
    assert _setup.choose_or_install("2.16", "3.11")[1].version == (3, 11)
    assert _setup.choose_or_install("2.16", None)[1].version == (3, 12)
    with pytest.raises(SetupError, match="with venv and ensurepip here: none"):
        _setup.choose("2.16", _setup.only("3.10"))


def test_both_are_options_of_every_command():
    options = environment.parse(["lint", "--core", "2.18", "--python", "3.13", "ruff"])
    assert (options.core, options.python, options.gates) == ("2.18", "3.13", ["ruff"])
