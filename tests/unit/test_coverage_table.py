# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of what is covered says how rows ended, and where there is none."""

from __future__ import annotations

import pytest

from tests.coverage import covers
from tests.coverage.__main__ import Ended, table

DOCKER = ("Connections", "docker")


def line(page: str, subject: str) -> str:
    return next(line for line in page.splitlines() if line.startswith(f"| {subject} |"))


def test_a_row_that_failed_is_shown_beside_those_that_passed() -> None:
    page = table({(*DOCKER, "interrupt"): [Ended("2.21.5", "passed", ""), Ended("2.16.19", "failed", "")]})
    assert line(page, "docker") == "| docker | 1, **1 FAILED** | **no row** | **no row** | 2.21 |"


def test_a_row_that_ran_nowhere_shows_why() -> None:
    page = table({(*DOCKER, "timeout"): [Ended("2.21.5", "skipped", "no engine")]})
    assert line(page, "docker") == "| docker | **no row** | **no row** | not run: no engine |  |"


def test_a_mark_with_a_section_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="Conections"):
        covers("Conections", "docker", "interrupt")
