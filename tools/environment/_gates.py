# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gates of `make lint`.

Guards keep a gate from passing without looking at anything.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from typing import Callable, Mapping, Sequence

from . import _ansible_test, _changelog, _docsite, _importer, _nox, _old_python
from ._commands import SetupError, run
from ._lint_setup import Workshop
from ._paths import CACHE, IMPORTABLE, IN_COLLECTIONS, ROOT
from ._sources import source_files

# Notes of a gate that passed, about parts that could not run here.
Notes = Sequence[str]


@dataclass(frozen=True)
class Gate:
    """One check. It returns notes, or raises SetupError with the output of what failed."""

    name: str
    about: str
    check: Callable[[Workshop], Notes]


def ruff(workshop: Workshop) -> Notes:
    """Check the rules in pyproject.toml."""
    run(
        [workshop.lint.program("ruff"), "check", "--output-format", "concise", "--no-fix"], cwd=ROOT
    )
    return ()


def layout(workshop: Workshop) -> Notes:
    """Check the layout that `make format` makes."""
    run(
        [
            workshop.lint.program("ruff"),
            "format",
            "--check",
            "--quiet",
            "--output-format",
            "concise",
        ],
        cwd=ROOT,
    )
    return ()


def types(workshop: Workshop) -> Notes:
    """Run mypy --strict, on the names by which Ansible imports the files, and on this program."""
    mypy = workshop.lint.program("mypy")
    # Each folder of plugins: a new one is checked from its beginning.
    worlds = sorted(path.name for path in (ROOT / "plugins").iterdir() if path.is_dir())
    folders = [f"{IN_COLLECTIONS}/plugins/{world}" for world in worlds]
    missing = [folder for folder in folders if not (IMPORTABLE / folder).is_dir()]
    if missing:
        raise SetupError(f"nothing to check: {', '.join(missing)}")
    try:
        run(
            [mypy, "--config-file", ROOT / "pyproject.toml", *folders],
            cwd=IMPORTABLE,
            env=workshop.lint.environment(MYPY_CACHE_DIR=str(CACHE / "mypy")),
        )
    except SetupError as error:
        raise SetupError(str(error).replace(f"{IN_COLLECTIONS}/", "")) from None
    run([mypy, "--package", "tools.environment"], cwd=ROOT)
    return ()


def border(workshop: Workshop) -> Notes:
    """Check the border. It is also part of the unit tests; here it is quick to ask for."""
    run([workshop.venv.python, "-m", "pytest", "-q", "tests/unit/test_border.py"], cwd=ROOT)
    return ()


def ansible_lint(workshop: Workshop) -> Notes:
    """Check the production profile.

    ansible-lint passes if it finds no files. So it has to process as many as there are playbooks,
    roles and metadata.
    """
    printed = run(
        [workshop.lint.program("ansible-lint"), "--offline", "--profile", "production"],
        cwd=workshop.copy,
        env=workshop.environment(workshop.collections),
    )
    found = re.search(r"(\d+) files? processed", printed)
    if found is None:
        raise SetupError(f"{printed}\nno count of files in the output of ansible-lint")
    least = sum(
        1
        for folder in ("meta", "playbooks", "roles")
        for dummy in (workshop.copy / folder).rglob("*.yml")
    )
    if int(found.group(1)) < max(least, 1):
        raise SetupError(
            f"{printed}\n"
            f"ansible-lint processed {found.group(1)} files, not the {least} that are there"
        )
    return ()


def docs(workshop: Workshop) -> Notes:
    """Check that the documentation of all plugins and roles renders.

    Each of its references must lead to a target.
    """
    options = (
        "--plugin-docs",
        "--validate-collection-refs",
        "all",
        "--disallow-unknown-collection-refs",
        "--check-extra-docs-refs",
    )
    command = [workshop.lint.program("antsibull-docs"), "lint-collection-docs", *options, "."]
    try:
        run(command, cwd=workshop.copy, env=workshop.environment(workshop.collections))
    except SetupError as error:
        # It copies the collection to a folder with a random name, and takes one that ends with an
        # underscore for a reference.
        if 'Unknown target name: "antsibull-docs-' not in str(error):
            raise
        run(command, cwd=workshop.copy, env=workshop.environment(workshop.collections))
    return ()


def execution_environment(workshop: Workshop) -> Notes:
    """Check that ansible-builder takes the definition in docs/guides.

    It has to find what the collection needs.
    """
    builder = workshop.lint.program("ansible-builder")
    with tempfile.TemporaryDirectory() as context:
        run(
            [
                builder,
                "create",
                "-f",
                workshop.copy / "docs" / "guides" / "execution-environment.yml",
                "-c",
                context,
            ],
            cwd=workshop.copy,
        )
    found = run([builder, "introspect", workshop.collections], cwd=workshop.copy)
    missing = [name for name in ("paramiko", "openssh-client ") if name not in found]
    if missing:
        raise SetupError(
            f"{found}\n"
            f"ansible-builder does not find {', '.join(missing)} in meta/execution-environment.yml"
        )
    return ()


def licences(workshop: Workshop) -> Notes:
    """Check that every file has its owner and its licence.

    The texts of the licences must be there, and plugins need a licence that Ansible takes.
    """
    _nox.check(workshop, "licences")
    return ()


def files(workshop: Workshop) -> Notes:
    """Check that all files in plugins/ are plugins, and that no line ends in a blank."""
    _nox.check(workshop, "files")
    return ()


def spelling(workshop: Workshop) -> Notes:
    """Run codespell on every source file that pyproject.toml does not leave out."""
    files = source_files()
    if not files:
        raise SetupError("nothing to check: git lists no files")
    run([workshop.lint.program("codespell"), *files], cwd=ROOT)
    return ()


GATES: Mapping[str, Gate] = {
    gate.name: gate
    for gate in (
        # The longest first: the others run beside it.
        Gate(
            "sanity",
            "ansible-test sanity of the chosen core, no ignores, on every Python here that it "
            "supports",
            _ansible_test.sanity,
        ),
        Gate("importer", "galaxy-importer on the tarball", _importer.check),
        Gate("docs", "antsibull-docs", docs),
        Gate("docsite", "the documentation site, each of its links", _docsite.check),
        Gate("ansible-lint", "ansible-lint, production profile", ansible_lint),
        Gate("execution-environment", "ansible-builder", execution_environment),
        Gate("types", "mypy, strict", types),
        Gate("old-python", "module_utils on the oldest Python of a host", _old_python.check),
        Gate("border", "what runs on hosts and what runs on the controller are not mixed", border),
        Gate("changelog", "antsibull-changelog", _changelog.check),
        Gate("licences", "REUSE, and the licences of plugins", licences),
        Gate(
            "files", "nothing in plugins/ that is no plugin, no blanks at the end of a line", files
        ),
        Gate("ruff", "ruff check", ruff),
        Gate("layout", "ruff format", layout),
        Gate("spelling", "codespell", spelling),
        # It has the place of sanity: before that has ended, it would only wait.
        Gate("units", "ansible-test units: the same tests as `make unit`", _ansible_test.units),
    )
}
