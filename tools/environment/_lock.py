# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Locks that keep two commands from building one thing at once."""

from __future__ import annotations

import contextlib
import fcntl
from typing import Iterator

from ._paths import CACHE


@contextlib.contextmanager
def locked(name: str = "setup") -> Iterator[None]:
    """Hold a lock. A second command waits here, and then finds the work done.

    Locks of one name do not nest.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
