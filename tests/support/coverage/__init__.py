# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests cover: each row says it with a mark, each run records how the row ended, and the table in docs/ is made from that."""

from __future__ import annotations

import pytest

from .notes import ENDS, SECTIONS


def covers(section: str, subject: str, end: str) -> pytest.MarkDecorator:
    """Mark a row: it shows that nothing of `subject` survives `end`.

    `section` and `end` are among SECTIONS and ENDS of notes.py; a subject is whatever the table is
    to call it. Several of these marks on one row are all recorded.
    """
    if section not in SECTIONS or end not in ENDS:
        raise ValueError(
            f"{section}, {end}: a section is one of {', '.join(SECTIONS)}, an end one of {', '.join(ENDS)}"
        )
    return pytest.mark.covers(section, subject, end)
