# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labs for the tests of the test hosts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hosts import Host, Lab, kinds


@pytest.fixture(scope="session", autouse=True)
def _namespaces() -> None:
    """Skip without namespaces: only the plain kind works without them."""
    reason = kinds.why_not(kinds.NAMESPACE)
    if reason:
        pytest.skip(
            f"no namespace hosts here: {reason}; as an ordinary user: python -m "
            "tests.support.hosts run --count 0 -- pytest tests/integration/hosts"
        )


@pytest.fixture(scope="session")
def shared_lab(_namespaces: None) -> Iterator[Lab]:
    """One lab of two hosts for all tests that break nothing for good."""
    with Lab.up(count=2) as lab:
        yield lab


@pytest.fixture
def lab(shared_lab: Lab) -> Lab:
    """The shared lab, every host of it clean."""
    for host in shared_lab:
        if not host.on:
            host.boot()
        host.reset()
    return shared_lab


@pytest.fixture
def host(lab: Lab) -> Host:
    """One clean host."""
    return lab["web1"]
