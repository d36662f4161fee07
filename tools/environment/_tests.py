# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test suites: the folders of each, and pytest in the environment of a core."""

from __future__ import annotations

import shutil
import subprocess
from typing import Sequence

from ._commands import SetupError, foreground, say
from ._paths import CACHE, ROOT
from ._setup import Ready

SUITES = {
    "unit": ("tests/unit",),
    "timing": ("tests/timing",),
    # Cheapest first: if hosts can't be made, the rows need not be tried.
    "integration": (
        "tests/integration/hosts",
        # The files that take longest come early, so that none of them runs alone at the end.
        "tests/integration/faults",
        "tests/integration/roles",
        "tests/integration/survival",
        "tests/integration/play_features",
        "tests/integration/grace",
        "tests/integration/connections",
        "tests/integration/launchers",
        "tests/integration/output",
        "tests/integration/modules",
        "tests/docs/examples",
        "tests/integration/concurrency",
    ),
    "molecule": ("tests/integration/molecule",),
}

#: Suites that import the collection from this very tree. The others use the installed tarball.
ON_TREE = ("unit", "timing")

#: Tests wait for real hosts part of the time, so more of them run beside each other than there are
#: processors. Each has hosts of its own. The tests of one file run in turn.
BESIDE_EACH_OTHER = {
    "integration": ("-n", "3", "--dist", "loadfile", "--no-loadscope-reorder"),
}

#: A module each, run by the venv's python in the repository.
PROGRAMS = {
    "core-tests": "tools.core_targets.run",
    "demo": "tools.demo.run",
    "bench": "tools.bench.run",
    "screenshot": "tools.screenshot.run",
}


def suite(name: str, ready: Ready, arguments: Sequence[str]) -> int:
    """Run one suite, and return pytest's exit status.

    Its output is printed as it comes: the summary is the last line.
    """
    folders = [folder for folder in SUITES[name] if (ROOT / folder).is_dir()]
    if not folders:
        raise SetupError(f"no {name} tests: none of {', '.join(SUITES[name])} is there")
    if name == "molecule":
        if not ready.core.molecule:
            say(f"molecule tests: not run, molecule does not support {ready.core}")
            return 0
        ready = ready.for_molecule()
    say(f"{name} tests on {ready.core}, {ready.interpreter}")
    chosen = (
        ()
        if any(below(argument, folder) for argument in arguments for folder in folders)
        else folders
    )
    command = [
        ready.venv.python,
        "-m",
        "pytest",
        "-rs",
        *BESIDE_EACH_OTHER.get(name, ()),
        *chosen,
        *arguments,
    ]
    environment = ready.with_tree() if name in ON_TREE else ready.with_installed()
    return foreground(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL)


def below(argument: str, folder: str) -> bool:
    """Whether an argument for pytest is this folder, or a file or a test in it.

    It then takes the place of the whole suite.
    """
    return f"{argument}/".startswith(f"{folder}/")


def coverage(ready: Ready, arguments: Sequence[str]) -> int:
    """Run every row of the integration tests, and make docs/coverage.md from how they ended.

    With arguments for pytest the other rows stay as recorded.
    """
    if not arguments:
        shutil.rmtree(str(CACHE / "coverage"), ignore_errors=True)
    outcome = suite("integration", ready, ["--every-row", *arguments])
    return (
        foreground(
            [ready.venv.python, "-m", "tests.support.coverage"],
            cwd=ROOT,
            env=ready.with_installed(),
        )
        or outcome
    )


def endurance(ready: Ready, others: Sequence[Ready], arguments: Sequence[str]) -> int:
    """Run rounds of interruptions, in which the runs have different cores."""
    cores = ":".join(f"{one.core.version}={one.venv.path / 'bin'}" for one in (ready, *others))
    return foreground(
        [ready.venv.python, "-m", "tools.endurance.run", *arguments],
        cwd=ROOT,
        env={**ready.with_installed(), "ENDURANCE_CORES": cores},
    )


def program(name: str, ready: Ready, arguments: Sequence[str]) -> int:
    """Run the demo, the benchmark or the like, and return its exit status.

    It gets the terminal, stdin included.
    """
    module = PROGRAMS[name]
    if not (ROOT / module.replace(".", "/")).with_suffix(".py").exists():
        raise SetupError(f"the module {module} is not there")
    return foreground(
        [ready.venv.python, "-m", module, *arguments], cwd=ROOT, env=ready.with_installed()
    )
