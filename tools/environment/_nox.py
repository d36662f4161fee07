# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sessions of antsibull-nox, as gates.

It also has the gates and commands that the sessions of noxfile.py run.
"""

from __future__ import annotations

from typing import Mapping, Sequence

from ._commands import SetupError, run
from ._lint_setup import Workshop
from ._paths import CACHE

#: The session that a gate runs: antsibull-nox.toml configures it.
OF_ANTSIBULL_NOX: Mapping[str, str] = {"licences": "license-check", "files": "extra-checks"}

#: The gate that a session runs. Where antsibull-nox has a word, it is used: contributors to other
#: collections know it.
GATES: Mapping[str, str] = {
    "codeqa": "ruff",
    "formatters": "layout",
    "typing": "types",
    "spelling": "spelling",
    "docs-check": "docs",
    "docsite": "docsite",
    "ansible-lint": "ansible-lint",
    "build-import-check": "importer",
    "ee-check": "execution-environment",
    "changelog-check": "changelog",
    "border": "border",
    "old-python": "old-python",
    "ansible-test-sanity": "sanity",
    "ansible-test-units": "units",
}

#: Sessions that run the command of `make` that has their name.
COMMANDS: Sequence[str] = (
    "unit",
    "timing",
    "integration",
    "molecule",
    "core-tests",
    "coverage",
    "endurance",
    "demo",
    "bench",
    "screenshot",
    "format",
    "docs",
    "changelog",
    "build",
)


def check(workshop: Workshop, gate: str) -> None:
    """Run the session of antsibull-nox that is this gate, in the linters' environment.

    A session that has skipped something has not looked at it.
    """
    session = OF_ANTSIBULL_NOX[gate]
    # Without an environment of the session's own: that would be made again for each, of the newest
    # versions.
    command = [
        workshop.lint.program("nox"),
        "--no-venv",
        "--envdir",
        CACHE / "nox",
        "--session",
        session,
    ]
    printed = run(command, cwd=workshop.copy, env=workshop.environment(workshop.collections))
    if not has_run(session, printed):
        raise SetupError(f"{printed}\nnox did not run all of {session}")


def has_run(session: str, printed: str) -> bool:
    """Whether nox reports that the session was successful, and that it has left out nothing."""
    return f"nox > Session {session} was successful" in printed and "nox > Skipping" not in printed
