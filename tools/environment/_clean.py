# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removal of what the other commands created, unless something is still mounted in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from ._commands import SetupError
from ._paths import ROOT

CREATED = (
    ".cache",
    ".venv",
    ".ansible",
    ".hypothesis",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    "tests/output",
)


def clean() -> None:
    """Remove it all, but refuse while test hosts are up.

    Their mounts would be followed into the machine's own files.
    """
    mounts = mounted_below(ROOT)
    if mounts:
        raise SetupError(f"mounted: {', '.join(mounts)}. Take the test hosts down first.")
    for name in CREATED:
        if (ROOT / name).exists():
            shutil.rmtree(str(ROOT / name))


def mounted_below(folder: Path) -> list[str]:
    """Return mount points strictly inside a folder, as this process sees them."""
    table = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in table]
    return [point for point in points if point.startswith(f"{folder}/")]
