# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab of the tests here, and the pieces of pages that they have claimed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.labs.clean_lab import lab, shared_lab, web1, web2

from .claims import Documented

__all__ = ("lab", "shared_lab", "web1", "web2")


@pytest.fixture(autouse=True)
def _as_it_stands(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that has not even looked at what it has claimed: it has run something else."""
    yield
    callspec = getattr(request.node, "callspec", None)
    claimed = callspec.params.get("documented") if callspec else None
    if isinstance(claimed, Documented) and request.node.stash.get(PASSED, False):
        assert claimed.read, "it has claimed something of a page, and has not run it"


#: Whether the test itself has passed. One that was skipped, or has failed, has looked at nothing.
PASSED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Note that it has passed."""
    report = yield
    if call.when == "call":
        item.stash[PASSED] = report.passed
    return report
