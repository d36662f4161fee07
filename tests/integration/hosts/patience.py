# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what happens by itself, by looking at it until it has."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

#: Seconds in which it must have happened, also on a busy machine.
SECONDS = 30.0

T = TypeVar("T")


def eventually(look: Callable[[], T]) -> T:
    """What `look` answers, as soon as that is true; fails with its last answer."""
    deadline = time.monotonic() + SECONDS
    while not (answer := look()):
        assert time.monotonic() < deadline, f"still {answer!r}"
        time.sleep(0.005)
    return answer
