# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual environments under .venv.

They are made again only if their interpreter or their requirements changed.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from ._commands import SetupError, clean_environment, run, say
from ._cores import Core, dotted
from ._interpreters import Interpreter
from ._paths import REQUIREMENTS, VENVS

#: What pip prints if an index has no version that meets a requirement.
NO_RELEASE = "No matching distribution found for ansible-core"

#: Seconds after which a release is looked for in place of a candidate.
CANDIDATE_SECONDS = 24 * 60 * 60


@dataclass(frozen=True)
class Venv:
    """A virtual environment that is there and complete."""

    path: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.path / "bin" / "python"

    def program(self, name: str) -> Path:
        """Return a program that one of its packages installed."""
        return self.path / "bin" / name

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of an activated one.

        Tools and tests find ansible-playbook, ansible-doc and the like on PATH.
        """
        clean = clean_environment(**more)
        clean.update(
            VIRTUAL_ENV=str(self.path), PATH=f"{self.path / 'bin'}:{clean.get('PATH', '')}"
        )
        return clean


def core_venv(core: Core, interpreter: Interpreter) -> Venv:
    """Return the environment that Ansible and the tests run in."""
    return ensure(f"core-{core.version}", interpreter, core, "core.txt")


def molecule_venv(core: Core, interpreter: Interpreter) -> Venv:
    """Return the environment of the molecule scenarios."""
    return ensure(f"molecule-{core.version}", interpreter, core, "molecule.txt")


def lint_venv(core: Core, interpreter: Interpreter) -> Venv:
    """Return the environment of the linters."""
    return ensure("lint", interpreter, core, "lint.txt")


def importer_venv(core: Core, interpreter: Interpreter) -> Venv:
    """Return the environment of galaxy-importer.

    It pins packages that the linters need in newer versions.
    """
    return ensure("importer", interpreter, core, "importer.txt")


def front_ends_venv(interpreter: Interpreter) -> Venv:
    """Return the environment of programs that start ansible-playbook.

    They need newer packages, and many more, than the tests themselves.
    """
    return ensure(f"front-ends-{dotted(interpreter.version)}", interpreter, None, "front-ends.txt")


def old_host_venv(interpreter: Interpreter) -> Venv:
    """Return the environment of the tests on the oldest Python of a host.

    No ansible-core runs there.
    """
    major, minor = interpreter.version
    return ensure(f"host-{major}.{minor}", interpreter, None, "old-host.txt")


def ensure(name: str, interpreter: Interpreter, core: Core | None, file: str) -> Venv:
    """Return the environment of that name, made or made again if need be.

    It holds the packages of that file, and the core if one is given.
    """
    venv = Venv(VENVS / name)
    path = REQUIREMENTS / file
    stamp = venv.path / "complete"
    requirements = () if core is None else (core.requirement,)
    wanted = fingerprint(interpreter, (*requirements, path.read_text(encoding="utf-8")))
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        if core is not None and core.candidate:
            upgrade(venv, core, stamp)
        return venv
    say(f"making {venv.path.name}: {', '.join((*requirements, path.name))} on {interpreter}")
    shutil.rmtree(str(venv.path), ignore_errors=True)
    run([interpreter.path, "-m", "venv", venv.path])
    try:
        run([*pip_install(venv), *requirements, "-r", path])
    except SetupError as error:
        if core is None or not core.candidate or NO_RELEASE not in str(error):
            raise
        say(f"{core} has no release yet: {core.candidate}")
        run([*pip_install(venv), core.candidate, "-r", path])
    stamp.write_text(wanted, encoding="ascii")
    return venv


def upgrade(venv: Venv, core: Core, stamp: Path) -> None:
    """Replace a release candidate by the release. It is looked for once a day."""
    if time.time() - stamp.stat().st_mtime < CANDIDATE_SECONDS:
        return
    stamp.touch()
    try:
        run([*pip_install(venv), "--upgrade", core.requirement])
    except SetupError as error:
        # Without a network, and without a release, the candidate still serves.
        say(f"{venv.path.name}: no release of {core}: {str(error).strip().splitlines()[-2]}")


def pip_install(venv: Venv) -> Sequence[object]:
    """Return the command that installs into an environment. What to install is appended."""
    return (
        *(venv.python, "-m", "pip", "install"),
        *("--quiet", "--disable-pip-version-check", "--no-input"),
    )


def fingerprint(interpreter: Interpreter, parts: tuple[str, ...]) -> str:
    """Return a fingerprint that changes when the environment has to be made again."""
    return hashlib.sha256("\0".join((str(interpreter), *parts)).encode()).hexdigest()
