# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-runner and ansible-navigator, in a virtual environment of their own.

It is made when the first test asks for it.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

import pytest

from tools.environment import _interpreters, _lock, _venvs
from tools.environment._commands import SetupError


@functools.cache
def _venv() -> _venvs.Venv:
    interpreter = _interpreters.probe(sys.executable)
    assert interpreter is not None, f"{sys.executable} does not run"
    with _lock.locked():
        return _venvs.front_ends_venv(interpreter)


def program(name: str) -> str:
    """Return the path of one of its programs.

    Skip the test, with the reason, if PyPI can't be reached.
    """
    try:
        return str(_venv().program(name))
    except SetupError as error:
        pytest.skip(f"{name} can't be installed: {error}")


def path_with_core() -> str:
    """Return PATH with the programs of the core that the tests run in first.

    An activated environment has such a PATH.
    """
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
