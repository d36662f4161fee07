# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Record of what the tests cover.

Each row has a mark with what it covers. Each run records how the row ended. The table in docs/ is
made from these records.
"""

from __future__ import annotations

import pytest

from .notes import ENDS, SECTIONS


def covers(section: str, subject: str, end: str) -> pytest.MarkDecorator:
    """Mark a row: it shows that nothing of `subject` survives `end`.

    `section` and `end` are among SECTIONS and ENDS of notes.py. `subject` is the name that the
    table gives it. If a row has several of these marks, all are recorded.
    """
    if section not in SECTIONS or end not in ENDS:
        raise ValueError(
            f"{section}, {end}: a section is one of {', '.join(SECTIONS)}, an end one of "
            f"{', '.join(ENDS)}"
        )
    return pytest.mark.covers(section, subject, end)
