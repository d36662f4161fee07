# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual environments under .venv.

They are made again only if their interpreter or their requirements changed.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from ._commands import clean_environment, run, say
from ._cores import Core, dotted
from ._interpreters import Interpreter
from ._paths import REQUIREMENTS, VENVS


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
    return ensure(f"core-{core.version}", interpreter, (core.requirement,), "core.txt")


def molecule_venv(core: Core, interpreter: Interpreter) -> Venv:
    """Return the environment of the molecule scenarios."""
    return ensure(f"molecule-{core.version}", interpreter, (core.requirement,), "molecule.txt")


def lint_venv(core: Core, interpreter: Interpreter) -> Venv:
    """Return the environment of the linters."""
    return ensure("lint", interpreter, (core.requirement,), "lint.txt")


def importer_venv(core: Core, interpreter: Interpreter) -> Venv:
    """Return the environment of galaxy-importer.

    It pins packages that the linters need in newer versions.
    """
    return ensure("importer", interpreter, (core.requirement,), "importer.txt")


def front_ends_venv(interpreter: Interpreter) -> Venv:
    """Return the environment of programs that start ansible-playbook.

    They need newer packages, and many more, than the tests themselves.
    """
    return ensure(f"front-ends-{dotted(interpreter.version)}", interpreter, (), "front-ends.txt")


def old_host_venv(interpreter: Interpreter) -> Venv:
    """Return the environment of the tests on the oldest Python of a host.

    No ansible-core runs there.
    """
    major, minor = interpreter.version
    return ensure(f"host-{major}.{minor}", interpreter, (), "old-host.txt")


def ensure(name: str, interpreter: Interpreter, requirements: Sequence[str], file: str) -> Venv:
    """Return the environment of that name, made or made again if need be."""
    venv = Venv(VENVS / name)
    path = REQUIREMENTS / file
    stamp = venv.path / "complete"
    wanted = fingerprint(interpreter, (*requirements, path.read_text(encoding="utf-8")))
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return venv
    say(f"making {venv.path.name}: {', '.join((*requirements, path.name))} on {interpreter}")
    shutil.rmtree(str(venv.path), ignore_errors=True)
    run([interpreter.path, "-m", "venv", venv.path])
    run([*pip_install(venv), *requirements, "-r", path])
    stamp.write_text(wanted, encoding="ascii")
    return venv


def pip_install(venv: Venv) -> Sequence[object]:
    """Return the command that installs into an environment. What to install is appended."""
    return (
        *(venv.python, "-m", "pip", "install"),
        *("--quiet", "--disable-pip-version-check", "--no-input"),
    )


def fingerprint(interpreter: Interpreter, parts: tuple[str, ...]) -> str:
    """Return a fingerprint that changes when the environment has to be made again."""
    return hashlib.sha256("\0".join((str(interpreter), *parts)).encode()).hexdigest()
