# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting for what can be observed: until it is so, or for as long as it has to stay so."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

#: Seconds between two looks. Short against everything that is measured here, long against the cost
#: of a look.
PAUSE = 0.02

Seen = TypeVar("Seen")


class TooLate(AssertionError):
    """What was waited for did not come about in time."""


def until(look: Callable[[], Seen], seconds: float, what: Callable[[], str] | str) -> Seen:
    """Look until there is something truthy to see, and return it; raise TooLate, which says `what` was missing, after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise TooLate(f"after {seconds:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(PAUSE)


def stays(look: Callable[[], object], seconds: float, what: str) -> None:
    """Assert that it is so, and stays so for `seconds`: the only way to see that something does not happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert look(), f"it did not last: {what}"
        time.sleep(PAUSE)
