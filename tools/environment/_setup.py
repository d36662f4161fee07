# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One machine made ready for one core.

A lock keeps two commands from building one thing at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Mapping

from . import _collection, _made_pythons, _system_packages, _venvs
from ._commands import SetupError
from ._cores import CORES, Core, Version, core_named, dotted
from ._interpreters import Interpreter, choose, forget_interpreters, interpreters
from ._lock import locked
from ._paths import IMPORTABLE
from ._sources import importable
from ._venvs import Venv


@dataclass(frozen=True)
class Ready:
    """A core whose virtual environment is complete."""

    core: Core
    interpreter: Interpreter
    venv: Venv

    def with_installed(self) -> dict[str, str]:
        """Return the environment of the activated venv.

        The installed tarball is its only collection. It has no PYTHONPATH: Ansible would find the
        collection there as well. What pytest itself imports is in pyproject.toml.
        """
        with locked():
            installed = _collection.install(self.venv)
        environment = self.venv.environment(ANSIBLE_COLLECTIONS_PATH=str(installed))
        # As users have it: without compiled files each run would start slower than theirs.
        del environment["PYTHONDONTWRITEBYTECODE"]
        return environment

    def for_molecule(self) -> Ready:
        """Return the core with molecule beside it."""
        with locked():
            return replace(self, venv=_venvs.molecule_venv(self.core, self.interpreter))

    def with_tree(self) -> dict[str, str]:
        """Return the environment of the activated venv, with this tree as the only collection."""
        return self.venv.environment(ANSIBLE_COLLECTIONS_PATH=str(IMPORTABLE))


def make_ready(wanted: str | None, python: str | None = None) -> Ready:
    """Make packages, interpreter and virtual environment ready.

    They are for the wanted core and Python, or for the newest that run here.
    """
    with locked():
        _system_packages.ensure_programs()
        core, interpreter = choose_or_install(wanted, python)
        importable()
        return Ready(core, interpreter, _venvs.core_venv(core, interpreter))


def choose_or_install(wanted: str | None, python: str | None) -> tuple[Core, Interpreter]:
    """Choose a core and its Python.

    If a Python here lacks only the package for virtual environments, install it and choose again.
    If the Python that was asked for is not here, make it.
    """
    if python is not None:
        make_missing(wanted, python)
    try:
        return choose(wanted, only(python))
    except SetupError:
        if all(one.makes_venvs for one in interpreters().values()):
            raise
    _system_packages.install([_system_packages.VENV])
    forget_interpreters()
    return choose(wanted, only(python))


def make_missing(wanted: str | None, python: str) -> None:
    """Make the Python that was asked for, if it is not here and runs the wanted core."""
    cores = CORES.values() if wanted is None else (core_named(wanted),)
    for version in {version for core in cores for version in core.pythons()}:
        if dotted(version) == python:
            _made_pythons.find_or_make(version)


def only(python: str | None) -> Mapping[Version, Interpreter]:
    """Return the Pythons of this machine, or the one of that version, such as 3.12.

    One that was made in .cache is taken only if it was asked for.
    """
    if python is None:
        return interpreters()
    return {
        version: one
        for version, one in {**_made_pythons.all_made(), **interpreters()}.items()
        if dotted(version) == python
    }
