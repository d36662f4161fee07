# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures for the rows of several folders.

They are bystanders, and a clean end of all that rows have started.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.support.trees.bystanders import Companies


@pytest.fixture(scope="session", autouse=True)
def orderly_end() -> Iterator[None]:
    """Let SIGTERM end pytest as Ctrl-C does.

    What rows have started is ended, and their directories are removed.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def companies() -> Iterator[Companies]:
    """The bystanders of one module."""
    of_module = Companies()
    yield of_module
    of_module.close()
