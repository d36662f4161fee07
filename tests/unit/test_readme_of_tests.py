# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of tests/README.md has the folders that there are, and commands that run them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.environment._gates import GATES
from tools.environment._paths import ROOT
from tools.environment._tests import SUITES

TESTS = ROOT / "tests"
PAGE = TESTS / "README.md"

#: Lines of a terminal.
SCREEN = 40

#: Folders whose own folders are rows too.
DIVIDED = ("integration", "docs")

#: Folder that ansible-test leaves behind.
OUTPUT = TESTS / "output"

#: A command for each folder whose tests no suite runs, and none for those that hold no tests.
ELSEWHERE = {"docs/docsite": "make lint-docsite", "support": "", "requirements": ""}


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    folder: str
    command: str
    minutes: str


def rows(text: str) -> list[Row]:
    """Return those of the table, without its head."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| `")
    ]
    return [
        Row(folder.strip("`"), command.strip("`"), minutes)
        for folder, dummy_what, command, minutes, dummy_needs in cells
    ]


def folders(place: Path) -> set[str]:
    """Return the names of the folders in a folder."""
    return {
        path.name
        for path in place.iterdir()
        if path.is_dir() and path.name != "__pycache__" and path != OUTPUT
    }


def suite_of(folder: str) -> str:
    """Return the suite that runs a folder of tests, or all of its folders."""
    here = f"tests/{folder}"
    return next(
        (
            name
            for name, places in SUITES.items()
            if any(f"{place}/".startswith(f"{here}/") for place in places)
        ),
        "",
    )


ROWS = rows(PAGE.read_text(encoding="utf-8"))


def test_the_table_has_each_folder_once_and_no_other():
    there = folders(TESTS) | {
        f"{parent}/{name}" for parent in DIVIDED for name in folders(TESTS / parent)
    }
    assert sorted(row.folder for row in ROWS) == sorted(there - {"docs"})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.folder)
def test_the_command_of_a_folder_runs_it(row: Row):
    if row.folder in ELSEWHERE:
        assert row.command == ELSEWHERE[row.folder]
    elif row.folder in SUITES or row.folder == "integration/molecule":
        assert row.command == f"make {suite_of(row.folder)}"
    else:
        assert row.command == f"make {suite_of(row.folder)} PYTEST_ARGS=tests/{row.folder}"
    assert bool(row.command) == bool(re.fullmatch(r"[1-9]\d*", row.minutes)), (
        "minutes, where there is a command"
    )


@pytest.mark.parametrize("row", [row for row in ROWS if row.command], ids=lambda row: row.folder)
def test_the_command_is_a_target_of_the_makefile(row: Row):
    target = row.command.split()[1]
    if target.startswith("lint-"):
        assert target.removeprefix("lint-") in GATES
    else:
        assert re.search(
            rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
        )


def test_every_folder_of_a_suite_is_a_row():
    assert {place for places in SUITES.values() for place in places} <= {
        f"tests/{row.folder}" for row in ROWS
    }


def test_it_fits_on_one_screen():
    assert len(PAGE.read_text(encoding="utf-8").splitlines()) <= SCREEN


def test_a_folder_without_a_row_and_a_row_without_a_folder_are_seen(tmp_path: Path):
    """The controls of what reads the table and the folders."""
    (tmp_path / "new").mkdir()
    (tmp_path / "__pycache__").mkdir()
    assert folders(tmp_path) == {"new"}
    assert rows("| folder | x |\n|---|---|\n| `old` | tests | `make unit` | 3 | |\n") == [
        Row("old", "make unit", "3")
    ]
    assert suite_of("integration/faults") == "integration"
    assert suite_of("support") == ""


def test_folders_of_unit_tests_mirror_what_they_test():
    below = {
        path.parent.relative_to(TESTS / "unit") for path in (TESTS / "unit").rglob("test_*.py")
    } - {Path()}
    assert {
        path for path in below if not (ROOT / path).is_dir() and not (TESTS / path).is_dir()
    } == set()
    assert Path("plugins/module_utils/_tree") in below
