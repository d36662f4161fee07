# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures that the tests of plugin_utils share with each other, or with those of module_utils.

The latter are a process table of its own for a test, and the profile of hypothesis.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.plugins.module_utils.conftest import namespace

__all__ = ["namespace"]


@pytest.fixture
def password() -> Iterator[Path]:
    """A file with a password, as core writes it for an ssh client."""
    file = Path(f"/dev/shm/psm_{secrets.token_hex(4)}")
    file.write_text("hunter2")
    yield file
    file.unlink(missing_ok=True)
