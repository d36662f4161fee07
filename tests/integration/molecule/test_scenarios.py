# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each scenario passes, from the creation of its hosts to their removal.

It leaves none behind, however it ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.hosts import Lab, NoSuchLab, kinds, labs
from tests.support.run.terminal import default_signals
from tools.environment._lock import locked
from tools.environment._paths import CACHE, ROOT

SCENARIOS = sorted(
    path.parent.name for path in (ROOT / "extensions" / "molecule").glob("*/molecule.yml")
)

MOLECULE = Path(sys.executable).with_name("molecule")

#: Seconds; it takes a tenth of that.
LONGEST = 600


@pytest.fixture(autouse=True)
def _clean_up_when_told_to_end() -> Iterator[None]:
    """Let SIGTERM and SIGHUP clean up.

    By default they end pytest at once, and what it has made would stay.
    """

    def interrupt(dummy_number: int, dummy: object) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    yield
    for number, answer in before.items():
        signal.signal(number, answer)


@pytest.fixture
def workplace(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Directory where molecule keeps its state.

    It is always this one, so that the next run removes what a killed one has left.
    """
    reason = kinds.why_not(kinds.NAMESPACE)
    if reason is not None:
        pytest.skip(reason)
    place = CACHE / "molecule" / Path(sys.prefix).name / request.getfixturevalue("scenario")
    place.mkdir(parents=True, exist_ok=True)
    with locked("molecule"):
        yield place
        with contextlib.suppress(NoSuchLab):
            Lab.load(lab_of(place)).down()


def lab_of(place: Path) -> str:
    """Name of the lab, as in shared/vars/lab.yml of the scenarios."""
    return f"molecule-{hashlib.sha1(str(place).encode(), usedforsecurity=False).hexdigest()[:8]}"


def steps_of(scenario: str) -> list[str]:
    """Return what its molecule.yml wants to be run."""
    content = yaml.safe_load(
        (ROOT / "extensions" / "molecule" / scenario / "molecule.yml").read_text()
    )
    steps: list[str] = content["scenario"]["test_sequence"]
    assert {"create", "converge", "verify", "destroy"} <= {*steps}
    return steps


def molecule(scenario: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Run `molecule test` to its end. All of it is killed if it is not waited for."""
    environ = {**os.environ, "MOLECULE_EPHEMERAL_DIRECTORY": str(place), "NO_COLOR": "1"}
    argv = [str(MOLECULE), "test", "--no-command-borders", "--scenario-name", scenario]
    with subprocess.Popen(
        argv,
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # The parent of the tests may have ignored INT. The run that is to be interrupted by it
        # would do so too.
        preexec_fn=default_signals,
    ) as process:
        try:
            output, dummy = process.communicate(timeout=LONGEST)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(argv, process.returncode, output)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, workplace: Path) -> None:
    done = molecule(scenario, workplace)
    assert done.returncode == 0, done.stdout
    for step in steps_of(scenario):
        assert re.search(rf"{scenario} . {step}\W.*Executed: Successful", done.stdout), (
            f"{step} did not run\n{done.stdout}"
        )
    assert lab_of(workplace) not in [lab.name for lab in labs()]


def test_there_is_a_scenario() -> None:
    """An empty list of parameters would be skipped."""
    assert SCENARIOS
