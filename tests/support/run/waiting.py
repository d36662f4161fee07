# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waits for what can be observed: for a state to come, or for a state to stay."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

#: Seconds between two looks. It is short against everything that is measured here, and long against
#: the cost of a look.
PAUSE = 0.02

Seen = TypeVar("Seen")


class TooLate(AssertionError):
    """Error of a wait: its state did not come in time."""


def until(look: Callable[[], Seen], seconds: float, what: Callable[[], str] | str) -> Seen:
    """Look until there is something truthy to see, and return it.

    After `seconds` raise TooLate, which names `what` was missing.
    """
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise TooLate(f"after {seconds:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(PAUSE)


def stays(look: Callable[[], object], seconds: float, what: str) -> None:
    """Assert that it is so, and stays so for `seconds`.

    No other test shows that something does not happen.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert look(), f"it did not last: {what}"
        time.sleep(PAUSE)
