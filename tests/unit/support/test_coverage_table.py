# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of what is covered has how rows ended, and where there is none."""

from __future__ import annotations

import pytest

from tests.support.coverage import covers
from tests.support.coverage.__main__ import TABLE, Ended, added, table
from tests.support.coverage.notes import ENDS
from tests.support.coverage.supported import README, supported, with_supported

DOCKER = ("Connections", "docker")


def line(page: str, subject: str) -> str:
    return next(line for line in page.splitlines() if line.startswith(f"| {subject} |"))


def test_a_row_that_failed_is_shown_beside_those_that_passed() -> None:
    page = table(
        {(*DOCKER, "interrupt"): [Ended("2.21.5", "passed", ""), Ended("2.16.19", "failed", "")]}
    )
    assert line(page, "docker") == "| docker | 1, **1 FAILED** | **no row** | **no row** | 2.21 |"


def test_a_row_that_ran_nowhere_shows_why() -> None:
    page = table({(*DOCKER, "timeout"): [Ended("2.21.5", "skipped", "no engine")]})
    assert line(page, "docker") == "| docker | **no row** | **no row** | not run: no engine |  |"


def test_a_mark_with_a_section_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="Links"):
        covers("Links", "docker", "interrupt")


def test_a_section_has_columns_of_its_own() -> None:
    page = table({("Hand-offs", "at", "interrupt"): [Ended("2.21.5", "passed", "")]})
    assert line(page, "at") == "| at | 1 | 2.21 |"
    with pytest.raises(ValueError, match="timeout"):
        covers("Hand-offs", "at", "timeout")


def test_one_section_is_made_again_and_the_others_stay() -> None:
    before = table(
        {
            (*DOCKER, "interrupt"): [Ended("2.16.19", "passed", "", "3.12")],
            ("Become", "su", "interrupt"): [Ended("2.16.19", "failed", "", "3.12")],
            ("Hand-offs", "at", "interrupt"): [Ended("2.16.19", "passed", "", "3.12")],
        }
    )
    again = {("Become", "su", "interrupt"): [Ended("2.21.5", "passed", "", "3.13")]}
    page = table(again, before, ["Become"])
    assert line(page, "docker") == line(before, "docker")
    assert line(page, "at") == line(before, "at")
    assert line(page, "su") == "| su | 1 | **no row** | **no row** | 2.21 |"
    assert "Recorded on ansible-core 2.16.19 (Python 3.12), 2.21.5 (Python 3.13)." in page
    assert page.index("## Become") < page.index("## Hand-offs")


def test_the_rows_of_another_core_are_added() -> None:
    before = table(
        {
            (*DOCKER, "interrupt"): [
                Ended("2.21.5", "passed", "", "3.13"),
                Ended("2.21.5", "failed", "", "3.13"),
            ],
            (*DOCKER, "timeout"): [Ended("2.21.5", "skipped", "no engine", "3.13")],
            ("Become", "su", "interrupt"): [Ended("2.21.5", "passed", "", "3.13")],
            ("Targets", "Debian sid", "interrupt"): [Ended("2.21.5", "passed", "", "3.13")],
        }
    )
    new = {
        (*DOCKER, "interrupt"): [
            Ended("2.22.0rc1", "passed", "", "3.14"),
            Ended("2.21.5", "passed", "", "3.13"),
        ],
        (*DOCKER, "KILL of main"): [Ended("2.22.0rc1", "failed", "", "3.14")],
        (*DOCKER, "timeout"): [Ended("2.22.0rc1", "skipped", "no room", "3.14")],
        ("Become", "doas", "timeout"): [Ended("2.22.0rc1", "passed", "", "3.14")],
        ("Hand-offs", "at", "interrupt"): [Ended("2.22.0rc1", "passed", "", "3.14")],
    }
    page = added(new, before)
    assert line(page, "docker") == (
        "| docker | 2, **1 FAILED** | **1 FAILED** | not run: no engine | 2.21, 2.22 |"
    )
    assert line(page, "su") == line(before, "su")
    assert line(page, "doas") == "| doas | **no row** | **no row** | 1 | 2.22 |"
    assert page.index("| doas |") < page.index("| su |")
    assert line(page, "at") == "| at | 1 | 2.22 |"
    assert "Recorded on ansible-core 2.21.5 (Python 3.13), 2.22.0rc1 (Python 3.14)." in page
    assert page.index("| Debian sid |") < page.index("- Debian sid: ")
    assert added(new, page) == page, "once"
    later = {("Hand-offs", "at", "interrupt"): [Ended("2.21.5", "passed", "", "3.13")]}
    assert line(added(later, page), "at") == "| at | 2 | 2.21, 2.22 |", "the page names that core"
    assert added({}, TABLE.read_text(encoding="utf-8")) == TABLE.read_text(encoding="utf-8")


def test_the_page_is_kept_as_it_is_where_nothing_is_made_again() -> None:
    page = TABLE.read_text(encoding="utf-8")
    assert table({}, page, []) == page


def test_the_readme_calls_supported_what_the_table_says() -> None:
    readme = README.read_text(encoding="utf-8")
    assert with_supported(readme, TABLE.read_text(encoding="utf-8")) == readme


def test_only_what_passed_in_every_way_is_called_supported() -> None:
    whole = {
        ("Connections", subject, end): [Ended("2.21.5", "passed", "", "3.13")]
        for subject in ("good", "bad", "half")
        for end in ENDS
    }
    bad = {
        ("Connections", "bad", "timeout"): [
            Ended("2.21.5", "passed", "", "3.13"),
            Ended("2.21.5", "failed", "", "3.12"),
        ]
    }
    half = {("Connections", "half", "timeout"): []}
    absent = {
        ("Connections", "absent", end): [Ended("2.21.5", "skipped", "no engine", "3.13")]
        for end in ENDS
    }
    lines = supported(table({**whole, **bad, **half, **absent})).splitlines()
    assert lines[2:4] == ["| ansible-core | 2.21.5 (Python 3.12, 3.13) |", "| Connections | good |"]


def test_what_begins_alike_is_said_once() -> None:
    subjects = ("sudo, use_pty on", "sudo, NOPASSWD", "sudo", "a task that calls sudo, su and doas")
    page = table(
        {
            ("Become", subject, end): [Ended("2.21.5", "passed", "", "3.13")]
            for subject in subjects
            for end in ENDS
        }
    )
    assert (
        supported(page).splitlines()[4]
        == "| Become | a task that calls sudo, su and doas; sudo (NOPASSWD, use_pty on) |"
    )
