# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pythons that this machine lacks, made in .cache for a command that asks for them by version.

No other command takes them: a default must not depend on what was asked for before.
"""

from __future__ import annotations

import shutil
import sys
from functools import lru_cache
from pathlib import Path
from typing import Callable, Mapping

from . import _debian_python, _venvs
from ._commands import SetupError, clean_environment, run, say
from ._cores import Version, dotted
from ._interpreters import Interpreter, interpreters, probe
from ._lock import locked
from ._paths import CACHE

PYTHONS = CACHE / "pythons"

#: The oldest that tests have made for their hosts: Debian's newest release has none before it.
OLDEST_MADE: Version = (3, 14)


def every_python() -> Mapping[Version, Interpreter]:
    """Return the Pythons of this machine and those that were made before, the oldest first."""
    return dict(sorted({**all_made(), **interpreters()}.items()))


def find_or_make(version: Version) -> Interpreter:
    """Return that Python of this machine, or make one. Raises SetupError with each reason.

    It needs no root, and a minute at most.
    """
    found = every_python().get(version)
    if found is not None:
        return found
    with locked("pythons"):
        all_made.cache_clear()
        return all_made().get(version) or _make(version)


@lru_cache(maxsize=None)
def all_made() -> Mapping[Version, Interpreter]:
    """Return the Pythons in PYTHONS."""
    found = map(probe, map(str, sorted(PYTHONS.glob("*/bin/python3"))))
    return {one.version: one for one in found if one is not None}


def _make(version: Version) -> Interpreter:
    prefix = PYTHONS / dotted(version)
    reasons = []
    for name, way in WAYS.items():
        say(f"making Python {dotted(version)}, which is not here, {name}")
        shutil.rmtree(str(prefix), ignore_errors=True)
        prefix.parent.mkdir(parents=True, exist_ok=True)
        try:
            way(version, prefix)
        except SetupError as error:
            reasons.append(f"{name}: {str(error).strip()}")
            continue
        all_made.cache_clear()
        made = all_made().get(version)
        if made is not None:
            return made
        reasons.append(f"{name}: it does not run on this machine")
        shutil.rmtree(str(prefix), ignore_errors=True)
    raise SetupError(
        "\n".join((f"Python {dotted(version)} is not here and could not be made:", *reasons))
    )


def _by_uv(version: Version, prefix: Path) -> None:
    """Download a build that runs on any Linux, as uv does it. It is on GitHub."""
    own = probe(sys.executable)
    if own is None or not own.makes_venvs:
        raise SetupError(f"{sys.executable} makes no virtual environment to install uv into")
    uv = _venvs.ensure("uv", own, None, "uv.txt").program("uv")
    folder = prefix.with_name(f"{prefix.name}.uv")
    shutil.rmtree(str(folder), ignore_errors=True)
    try:
        run(
            [uv, "python", "install", "--install-dir", folder, "--no-bin", dotted(version)],
            # A machine that can't reach it learns that at once.
            env=clean_environment(UV_HTTP_RETRIES="0", UV_PYTHON_PREFERENCE="only-managed"),
        )
        (place,) = (path for path in folder.glob("cpython-*") if not path.is_symlink())
        place.rename(prefix)
    finally:
        shutil.rmtree(str(folder), ignore_errors=True)


#: Ways to one, the quickest first: how each is named in messages, and what puts the Python of a
#: version into a folder.
WAYS: Mapping[str, Callable[[Version, Path], object]] = {
    "by uv": _by_uv,
    "from Debian's packages": _debian_python.make,
}
