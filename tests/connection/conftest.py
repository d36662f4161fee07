# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One lab for all tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hosts import Lab
from tests.support.labs.lab_or_skip import lab_or_skip


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Two hosts, up as long as the session."""
    with lab_or_skip(2) as two:
        yield two
