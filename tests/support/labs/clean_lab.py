# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures for a folder of tests, whose conftest imports them.

All tests share one lab. Its hosts are clean before each test.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hosts import Host, Lab
from tests.support.labs.lab_or_skip import lab_or_skip


@pytest.fixture(scope="session")
def shared_lab() -> Iterator[Lab]:
    """Two hosts, up as long as the session."""
    with lab_or_skip(2) as lab:
        yield lab


@pytest.fixture
def lab(shared_lab: Lab) -> Lab:
    """The shared lab, with clean hosts."""
    for host in shared_lab:
        host.reset()
    return shared_lab


@pytest.fixture
def web1(lab: Lab) -> Host:
    return lab["web1"]


@pytest.fixture
def web2(lab: Lab) -> Host:
    return lab["web2"]
