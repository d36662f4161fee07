# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Record of what the tests cover.

Each row has a mark with what it covers. Each run records how the row ended. The table in docs/ is
made from these records.
"""

from __future__ import annotations

import pytest

from .notes import SECTIONS


def covers(section: str, subject: str, end: str) -> pytest.MarkDecorator:
    """Mark a row: it shows that nothing of `subject` survives `end`.

    `section` and `end` are a section and one of its columns in SECTIONS of notes.py. `subject` is
    the name that the table gives it. If a row has several of these marks, all are recorded.
    """
    if end not in SECTIONS.get(section, ()):
        raise ValueError(f"{section}, {end}: sections and their ends are {SECTIONS}")
    return pytest.mark.covers(section, subject, end)
