# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rule of least harm: an uninterrupted run has the results that it has without a guardian.

That holds whatever becomes of its guardian. `--faults N` is the number of injected faults, and
`--seed` repeats those that a failed test has named.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .. import faulted_runs
from ..run_factory import PLACES

COUNT = 30


class Runs:
    """The program that plays them."""

    def __init__(self, directory: Path) -> None:
        (directory / "tmp").mkdir()
        self.directory = directory
        self._errors = (directory / "errors").open("w+")
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TREEKILL", "XDG_RUNTIME_DIR"))
        }
        environ.update(
            TMPDIR=str(directory / "tmp"),
            PYTHONPATH=PLACES,
            LC_ALL="C.UTF-8",
            ANSIBLE_DEVEL_WARNING="0",
        )
        words = [sys.executable, faulted_runs.__file__]
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environ,
            text=True,
        )
        self.plain = self.play(guarded=False)

    def play(self, **order: Any) -> dict[str, Any]:
        """Play one run.

        What it has left on purpose is looked at when its guardian is gone, and ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(
            json.dumps(
                {
                    "guarded": True,
                    "journal": str(self.directory / "journal"),
                    "exits": True,
                    **order,
                }
            )
            + "\n"
        )
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        try:
            for pid in answer["processes"]:
                wait_until_gone(pid)
            answer["alive"] = [is_alive(pid) for pid in answer["left"]]
        finally:
            for pid in answer.get("left", ()):
                if is_alive(pid):
                    os.kill(pid, signal.SIGKILL)
        return answer

    @property
    def errors(self) -> str:
        """All that was printed there, with the place of each vain wait."""
        return Path(self._errors.name).read_text()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._errors.close()


def is_alive(pid: int) -> bool:
    """Whether it is one of the processes that tasks leave behind."""
    with contextlib.suppress(OSError):
        return b"sleep\x00600" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def wait_until_gone(pid: int, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while Path(f"/proc/{pid}").exists() and not Path(f"/proc/{pid}/stat").read_text().rpartition(
        ") "
    )[2].startswith("Z"):
        assert time.monotonic() < deadline, f"process {pid} of the run does not end"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    playing = Runs(tmp_path_factory.mktemp("runs"))
    try:
        yield playing
    finally:
        playing.close()


def assert_unharmed(runs: Runs, answer: dict[str, Any], told: object) -> None:
    assert answer["results"] == runs.plain["results"], told
    assert answer["alive"] == [True] * len(runs.plain["left"]), told


def test_a_guardian_that_stands_still_is_waited_for_once_in_a_run_and_not_in_each_of_its_commands(
    runs,
):
    tasks = ["a_command", "many", "many", "a_command"]
    plain = runs.play(guarded=False, tasks=tasks)
    answer = runs.play(tasks=tasks, fault="guardian stopped", at=3, until=10_000)
    assert answer["results"] == plain["results"]
    # Of 62 commands one has waited, and then the main process for the report.
    assert 1 <= answer["vain_waits"] <= 2


@pytest.mark.parametrize("at", [0, 1, 8])
def test_a_run_waits_for_nothing_where_the_file_system_of_its_journal_is_frozen(
    runs, frozen_place, at
):
    order = {"fault": "file system frozen", "at": at, "seconds": 4.0, "journal": str(frozen_place)}
    answer = runs.play(**order)
    assert_unharmed(runs, answer, order)
    assert answer["vain_waits"] == 0, runs.errors


def test_a_run_begins_where_the_file_system_of_its_journal_is_frozen(runs, frozen_place):
    subprocess.run(["fsfreeze", "--freeze", str(frozen_place)], check=True)
    thaw = subprocess.Popen(["sh", "-c", 'sleep 6; fsfreeze --unfreeze "$0"', str(frozen_place)])
    try:
        answer = runs.play(journal=str(frozen_place / "journal"))
        assert_unharmed(runs, answer, "frozen from the start")
        assert answer["vain_waits"] == 0, runs.errors
    finally:
        thaw.wait(60)


def test_without_a_fault_a_guarded_run_has_the_results_of_one_without_a_guardian(runs):
    assert_unharmed(runs, runs.play(), "no fault")


@pytest.mark.parametrize("fault", faulted_runs.FAULTS)
def test_a_run_has_the_same_results_whatever_becomes_of_its_guardian(runs, fault, request):
    """At each of its messages in turn, if so many faults are wanted, and beyond that at random."""
    count = request.config.getoption("--faults", None) or COUNT
    seed = request.config.getoption("--seed", None) or random.SystemRandom().randrange(2**32)
    chosen = random.Random(f"{seed}/{fault}")
    messages = runs.play()["messages"]
    share = -(-count // len(faulted_runs.FAULTS))
    places = [*range(messages)]
    chosen.shuffle(places)
    places += [chosen.randrange(messages) for dummy in range(share - messages)]
    for at in places[:share]:
        passes = chosen.choice(
            [
                {"until": chosen.randrange(1, 20)},
                {"seconds": chosen.choice([0.1, 0.39, 0.4, 0.41, 0.6, 0.9])},
                {"until": 10_000},
            ]
        )
        order = {"fault": fault, "at": at, **passes}
        assert_unharmed(runs, runs.play(**order), f"{order}, --seed {seed}")
