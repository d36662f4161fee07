# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows that a whole suite plays, and those that options and names choose."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

FOLDER = "tests/integration/faults"

FILE = """
import pytest

@pytest.mark.parametrize("number", [*range(7), pytest.param(7, marks=pytest.mark.rest)])
def test_seven(number):
    pass

@pytest.mark.parametrize("number", range(2))
def test_two(number):
    pass
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Return a folder with a suite of one file."""
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    (folder / "test_rows.py").write_text(FILE)
    return tmp_path


def output(suite: Path, *words: str, status: int = 0) -> list[str]:
    """Return the lines that pytest prints before it exits with this status."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-v", "--rootdir", str(suite)),
            *("-o", "addopts=", "-p", "tests.support.coverage.plugin", "-p", "no:cacheprovider"),
            *words,
        ],
        cwd=suite,
        # ansible-test names its own plugins in the environment.
        env={
            **{name: value for name, value in os.environ.items() if "PYTEST" not in name},
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout
    return done.stdout.splitlines()


def played(suite: Path, *words: str) -> list[str]:
    """Return the names of the tests that run, in their order."""
    return [
        line.partition("::")[2].split()[0] for line in output(suite, *words) if "PASSED" in line
    ]


TWO = ["test_two[0]", "test_two[1]"]
SEVEN = [f"test_seven[{number}]" for number in range(7)]


def test_a_whole_suite_plays_a_sample(suite: Path) -> None:
    """A sixth, at equal distances. The first one depends on the name of the test."""
    assert played(suite, FOLDER) == [SEVEN[2], SEVEN[5], TWO[0]]


@pytest.mark.parametrize("words", [(f"{FOLDER}/test_rows.py",), (FOLDER, "-k", "test")])
def test_all_rows_of_what_is_chosen_are_played(suite: Path, words: tuple[str, ...]) -> None:
    assert played(suite, *words) == [*SEVEN, *TWO]


def test_every_row_is_every_row(suite: Path) -> None:
    assert played(suite, FOLDER, "--every-row") == [*SEVEN, "test_seven[7]", *TWO]


def test_the_errors_of_failed_tests_are_near_the_end(suite: Path) -> None:
    (suite / FOLDER / "test_more.py").write_text("def test_no():\n    assert not 'a word'\n")
    last = output(suite, FOLDER, status=1)[-6:]
    at = last.index(f"{FOLDER}/test_more.py::test_no")
    assert last[at + 1] == "  AssertionError: assert not 'a word'"
