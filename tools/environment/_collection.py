# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tarball that users get.

It is built from what git tracks, and installed offline. Tests run against it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ._commands import SetupError, run, say
from ._paths import IN_COLLECTIONS, NAME, NAMESPACE
from ._sources import snapshot
from ._venvs import Venv


def build(venv: Venv) -> Path:
    """Return the tarball of the tree as it is now. It is built once for each content."""
    return build_in(snapshot(), venv)


def install(venv: Venv) -> Path:
    """Return a folder for ANSIBLE_COLLECTIONS_PATH that holds the installed tarball alone."""
    place = snapshot()
    tarball = build_in(place, venv)
    target = place / f"installed-{venv.path.name}"
    if not target.exists():
        # It has another name while it is incomplete: half an installation must not be taken for a
        # whole one.
        unfinished = place / f"unfinished-{venv.path.name}"
        shutil.rmtree(str(unfinished), ignore_errors=True)
        run(
            [
                venv.program("ansible-galaxy"),
                "collection",
                "install",
                "--offline",
                "--collections-path",
                unfinished,
                tarball,
            ],
            env=venv.environment(),
        )
        unfinished.rename(target)
    return target


def build_in(place: Path, venv: Venv) -> Path:
    """Build the tarball in the folder of a snapshot."""
    pattern = f"{NAMESPACE}-{NAME}-*.tar.gz"
    if not list(place.glob(pattern)):
        say("building the collection")
        run(
            [
                venv.program("ansible-galaxy"),
                "collection",
                "build",
                "--output-path",
                place,
                place / IN_COLLECTIONS,
            ],
            env=venv.environment(),
        )
    found = list(place.glob(pattern))
    if len(found) != 1:
        raise SetupError(
            f"ansible-galaxy collection build left {len(found)} tarballs in {place}, not one"
        )
    return found[0]
