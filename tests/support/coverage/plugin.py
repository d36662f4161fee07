# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plugin of pytest for rows.

It has the options --rounds, --every-row, --seed and --tables. It prints the times that rows took.
It records how each row ended that covers something.
"""

from __future__ import annotations

import json
import platform
import secrets
import zlib
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

#: Folder with a file for each ansible-core. A run adds its rows to those that earlier runs have
#: recorded.
RECORDS = Path(__file__).resolve().parents[3] / ".cache" / "coverage"

PYTHON = ".".join(platform.python_version_tuple()[:2])

SECONDS = "seconds from the trigger until the last process was gone"
COVERS = "covers"

#: Tests below these folders have a sample: one of so many rows.
SAMPLED = ("tests/integration/", "tests/docs/examples/")
OF = 6
#: This file has all its rows, which only read pages.
WHOLE = "tests/docs/examples/test_claims.py"

#: Characters of the error of a failed test that are printed once more at the end.
ERROR_CHARACTERS = 800


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options.

    --rounds N: run every row N times. --every-row: run also the rows that are left out otherwise.
    --seed N: repeat random choices. --tables N: number of a model's tables.
    """
    parser.addoption(
        "--rounds", type=int, default=1, metavar="N", help="run every row of the matrix N times"
    )
    parser.addoption(
        "--seed",
        type=int,
        metavar="N",
        help="repeat random choices with the number that a failed test has printed",
    )
    parser.addoption(
        "--tables",
        type=int,
        metavar="N",
        help="make N process tables in each test of the model of the rules of evidence",
    )
    parser.addoption(
        "--faults",
        type=int,
        metavar="N",
        help="inject N faults into the guardian in the tests of the rule of least harm",
    )
    parser.addoption(
        "--every-row",
        action="store_true",
        help="run the rows too that differ little from another one",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks and the recorder.

    Where tests run beside each other, one process gets the reports of all of them. It is the one
    that records.
    """
    config.addinivalue_line("markers", "rest: run with --every-row only")
    config.addinivalue_line(
        "markers", "covers(section, subject, end): what a row shows; see tests/support/coverage"
    )
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Record(), "record of what is covered")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave other rows out without --every-row, and add to the report what a row covers.

    Those with the mark "rest" are left out. Of a whole suite, a sample of the other rows is played:
    a sixth of the rows of each test, and one at least. Where tests are chosen by -k or by their
    file, all of them are played.
    """
    for item in items:
        for mark in item.iter_markers(COVERS):
            item.user_properties.append((COVERS, list(mark.args)))
    if config.getoption("every_row"):
        return
    left_out = {item for item in items if item.get_closest_marker("rest")}
    if not config.option.keyword and not any(".py" in word for word in config.args):
        left_out |= _beyond_the_sample([item for item in items if item not in left_out])
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]


def _beyond_the_sample(items: Sequence[pytest.Item]) -> set[pytest.Item]:
    """Return the rows that a sample leaves out.

    Its rows have equal distances. The first one differs from test to test: the first row of most
    tests has the same trigger and the same setting.
    """
    rows: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.nodeid.startswith(SAMPLED) and not item.nodeid.startswith(WHOLE):
            rows.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left_out = set()
    for name, of_one in rows.items():
        number = -(-len(of_one) // OF)
        first = zlib.crc32(name.encode())
        chosen = {(first + at * len(of_one) // number) % len(of_one) for at in range(number)}
        left_out |= {item for at, item in enumerate(of_one) if at not in chosen}
    return left_out


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat each row as often as --rounds demands."""
    rounds = metafunc.config.getoption("rounds", 1)
    if rounds > 1:
        metafunc.fixturenames.append("round_number")
        metafunc.parametrize("round_number", range(1, rounds + 1))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how long each row took from the trigger until the last process was gone.

    The errors of failed tests follow.
    """
    times = [
        (report.nodeid.partition("::")[2], dict(report.user_properties)[SECONDS])
        for report in _reports(terminalreporter, "passed", "failed")
        if SECONDS in dict(report.user_properties)
    ]
    if times:
        terminalreporter.section(SECONDS)
        for name, seconds in times:
            terminalreporter.write_line(f"{seconds:6.2f}  {name}")
    _print_errors(terminalreporter)


def _reports(terminalreporter: pytest.TerminalReporter, *outcomes: str) -> list[pytest.TestReport]:
    return [report for one in outcomes for report in terminalreporter.stats.get(one, ())]


def _print_errors(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the error of each failed test at the end.

    A service that runs the tests may keep only the last lines of their output.
    """
    failed = _reports(terminalreporter, "failed", "error")
    if failed:
        terminalreporter.section("errors of failed tests")
    for report in failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        text = crash.message if crash else str(report.longrepr)
        terminalreporter.write_line(f"{report.nodeid}\n  {text[:ERROR_CHARACTERS]}")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Return the seed for random rows. It is printed, so that the output of a failure has it."""
    given = request.config.getoption("seed")
    number = secrets.randbelow(10**9) if given is None else int(given)
    print(f"to repeat it: --seed {number}")
    return number


@pytest.fixture
def took(record_property: Callable[[str, object], None]) -> Callable[[float], None]:
    """Function that takes the seconds that a row took."""
    return lambda seconds: record_property(SECONDS, seconds)


class Record:
    """The ends of this run's rows."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a row as passed if its set-up, call and tear-down have passed."""
        covered = [words for name, words in report.user_properties if name == COVERS]
        if not covered:
            return
        row = self._rows.setdefault(
            report.nodeid, {"covers": covered, "outcome": "passed", "reason": "", "python": PYTHON}
        )
        if report.failed:
            row["outcome"] = "failed"
        elif report.skipped:
            row["outcome"] = "skipped"
            row["reason"] = (
                report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            )

    def pytest_sessionfinish(self) -> None:
        """Add the rows to the record of this ansible-core.

        Names that no test has today stay until the record is removed.
        """
        if not self._rows:
            return
        path = RECORDS / f"{version('ansible-core')}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        before = json.loads(path.read_text()) if path.exists() else {}
        before.update(self._rows)
        path.write_text(json.dumps(before, indent=1, sort_keys=True))
