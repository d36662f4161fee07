# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wait for what happens by itself: it is looked at until it has happened."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

#: Seconds in which it must have happened, also on a busy machine.
SECONDS = 30.0

T = TypeVar("T")


def eventually(look: Callable[[], T]) -> T:
    """Return what `look` answers, as soon as that is true. Fails with its last answer."""
    deadline = time.monotonic() + SECONDS
    while not (answer := look()):
        assert time.monotonic() < deadline, f"still {answer!r}"
        time.sleep(0.005)
    return answer
