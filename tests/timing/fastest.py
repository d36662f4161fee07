# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fastest of several measurements.

Other processes make each one slower, and none of them faster.
"""

from __future__ import annotations

from collections.abc import Callable

#: Measurements before a limit counts as missed. A machine with two busy loops per processor meets
#: each limit within five.
ROUNDS = 20


def fastest(measure: Callable[[], float], longest: float) -> float:
    """Return the smallest of up to ROUNDS measurements. Stops at the first one below `longest`."""
    best = measure()
    for dummy in range(ROUNDS - 1):
        if best < longest:
            break
        best = min(best, measure())
    return best
