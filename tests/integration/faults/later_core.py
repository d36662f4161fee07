# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ansible-core that differs from what the collection supports.

It is the installed one, with words of its source replaced wherever they stand.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import ansible

INSTALLED = Path(ansible.__file__).parent


def renamed(*words: str) -> dict[str, str]:
    """Return replacements that rename each of these words throughout."""
    return {rf"\b{word}\b": f"{word}_anew" for word in words}


def make(place: Path, replacements: Mapping[str, str]) -> None:
    """Make a package `ansible` below `place`, for PYTHONPATH.

    Regular expressions are replaced in all of its Python files. Every other file is the installed
    one. What core calls by a new name it has by that name: it works as before.
    """
    patterns = [(re.compile(old), new) for old, new in replacements.items()]
    counts = dict.fromkeys(replacements, 0)
    for folder, dummy, files in os.walk(INSTALLED):
        target = place / "ansible" / Path(folder).relative_to(INSTALLED)
        target.mkdir(parents=True)
        for name in files:
            source = Path(folder, name)
            text = source.read_text(encoding="utf-8") if name.endswith(".py") else ""
            changed = text
            for pattern, new in patterns:
                changed, count = pattern.subn(new, changed)
                counts[pattern.pattern] += count
            if changed == text:
                (target / name).symlink_to(source)
            else:
                (target / name).write_text(changed, encoding="utf-8")
    assert all(counts.values()), (
        f"ansible-core has no {[old for old, count in counts.items() if not count]}"
    )
