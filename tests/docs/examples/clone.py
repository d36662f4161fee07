# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fresh clone of the tree as it is now, in which `make` may change anything."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tools.environment import _interpreters, _lock, _sources
from tools.environment._cores import dotted
from tools.environment._paths import VENVS

from .pages import ROOT
from .shell import Shell, clean_environ

#: Seconds for a command that first has to make an environment.
MAKING = 600


@contextmanager
def clone() -> Iterator[Shell]:
    """A shell in a clone.

    Its virtual environments are links to those that are here. No command in an unchanged tree makes
    them again. All else begins empty.
    """
    with tempfile.TemporaryDirectory(prefix="tk-") as directory:
        place = Path(directory) / "remote"
        with _lock.locked():
            _sources.copy_sources(_sources.source_files(), place)
        _sources.make_repository(place)
        (place / ".venv").mkdir()
        for venv in VENVS.iterdir():
            if (venv / "complete").exists():
                (place / ".venv" / venv.name).symlink_to(venv)
        yield Shell(place, as_a_user())


def as_a_user() -> dict[str, str]:
    """Return the environment of a user that types `make`: no virtual environment is active."""
    environ = clean_environ()
    folders = [
        folder for folder in environ["PATH"].split(":") if not Path(folder).is_relative_to(VENVS)
    ]
    return {**environ, "PATH": ":".join(folders)}


def need_the_core_of_make() -> None:
    """Skip, unless the tests run on the core and the Python that `make` takes by itself.

    Their environments exist. Others would take minutes.
    """
    core, interpreter = _interpreters.choose(None, _interpreters.interpreters())
    if (
        Path(sys.prefix) != VENVS / f"core-{core.version}"
        or sys.version_info[:2] != interpreter.version
    ):
        pytest.skip(
            f"`make` takes {core} on Python {dotted(interpreter.version)} here: on that its "
            "commands are run as they stand"
        )


def need_the_linters() -> None:
    """Make the linters' environment where it is kept.

    It is made again if its requirements have changed. `make test` has done so before.
    """
    # The result of the gate does not matter here.
    Shell(ROOT, as_a_user()).run("make lint-layout", MAKING)
