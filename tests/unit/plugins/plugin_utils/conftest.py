# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures that the tests of plugin_utils share with each other, or with those of module_utils.

The latter are a process table of its own for a test, and the profile of hypothesis.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.plugins.module_utils.conftest import namespace

__all__ = ["namespace"]


@pytest.fixture
def password() -> Iterator[Path]:
    """A file with a password, as core writes it for an ssh client."""
    file = Path(f"/dev/shm/psm_{secrets.token_hex(4)}")
    file.write_text("hunter2")
    yield file
    file.unlink(missing_ok=True)


@pytest.fixture
def frozen_place(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which goes on whatever happens."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("fsfreeze", "mkfs.ext4", "mount"))):
        pytest.skip("only root can have a file system that stands still")
    image, place = tmp_path / "image", tmp_path / "place"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    if subprocess.run(
        ["mount", "-o", "loop", str(image), str(place)], check=False, capture_output=True
    ).returncode:
        pytest.skip("no loop device can be had")
    try:
        yield place
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", str(place)], check=False, capture_output=True)
        subprocess.run(["umount", "--lazy", str(place)], check=True)
