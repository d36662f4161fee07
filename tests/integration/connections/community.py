# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collections that the tests need and that are not our own.

They are taken out of the package `ansible` that belongs to the installed ansible-core. That is one
download from PyPI, where pip gets all else. Galaxy, which publishes them, need not be reachable.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible.release import __version__

from tests.support.hosts import state
from tools.environment._paths import CACHE

#: With their folders in the package.
_COLLECTIONS = (
    "community/docker",
    "community/general",
    "containers/podman",
    "kubernetes/core",
    "ansible/netcommon",
    "ansible/utils",
    "cisco/ios",
)

#: Libraries that plugins of those import.
_LIBRARIES = ("requests",)

_MINOR = int(__version__.split(".")[1])

#: ansible 9 came with ansible-core 2.16, and since then each major version with the next one.
_PACKAGE = f"ansible=={_MINOR - 7}.*"


class NotToBeHad(Exception):
    """Error of a machine that can't have them. The text has the reason."""


def fetch() -> Path:
    """Return a folder for Python's path, made once for each ansible-core. Raises NotToBeHad."""
    # Another list is another folder: a machine may have one of an earlier list.
    wanted = hashlib.sha256(" ".join((*_COLLECTIONS, *_LIBRARIES)).encode()).hexdigest()[:8]
    return _once(f"core-2.{_MINOR}-{wanted}", _fill)


def fetch_library(package: str) -> Path:
    """Return such a folder with one package of PyPI, made once. Raises NotToBeHad."""
    return _once(
        f"{package}-core-2.{_MINOR}",
        lambda place: _pip("install", "--no-deps", "--target", str(place), package),
    )


def _once(name: str, fill: Callable[[Path], None]) -> Path:
    place = CACHE / "community" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    with state.locked(place.parent):
        if not place.is_dir():
            partial = Path(tempfile.mkdtemp(dir=place.parent))
            try:
                fill(partial)
                partial.rename(place)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return place


def _fill(place: Path) -> None:
    download = place / "download"
    _pip("download", "--no-deps", "--only-binary", ":all:", "--dest", str(download), _PACKAGE)
    (wheel,) = download.glob("ansible-*.whl")
    with zipfile.ZipFile(wheel) as package:
        wanted = tuple(f"ansible_collections/{name}/" for name in _COLLECTIONS)
        package.extractall(
            place,
            [
                name
                for name in package.namelist()
                if name.startswith(wanted) and "/tests/" not in name
            ],
        )
    shutil.rmtree(download)
    _pip("install", "--target", str(place), *_LIBRARIES)


def _pip(*arguments: str) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        *arguments,
    ]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip() or "nothing").splitlines()[-1]
        raise NotToBeHad(
            f"{' '.join(arguments[-len(_LIBRARIES) :])} is not to be had from PyPI: pip "
            f"{arguments[0]} printed: {last}"
        )


@contextmanager
def on_path(place: Path) -> Iterator[None]:
    """Put them on the path of runs that are started within the block.

    Ansible also finds collections on Python's path, whatever its configuration has.
    """
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*filter(None, [before]), str(place)])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
