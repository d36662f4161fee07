# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Other features of ansible-runner.

They are its timeouts, its stop command, and each way to enable the callback.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.coverage import covers
from tests.support.hosts import Lab
from tests.support.run import controller
from tests.support.run.play import CALLBACK, FrontEnd, Setting
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees import tree
from tests.support.trees.bystanders import Company
from tests.support.trees.rows import play_row
from tests.support.trees.table import Took, assert_nothing_survived, rest

from . import ends, fronts, programs

#: Seconds, as long as the tree may take to start. ansible-runner can't be told when they are over.
LIMIT = 25


def _with_settings(name: str, **values: object) -> FrontEnd:
    def start(directory: Path, environ: dict[str, str]) -> list[str]:
        command = [*fronts.RUNNER.start(directory, environ)]
        fronts.settings(directory / "private", **values)
        return command

    return FrontEnd(name, start)


@pytest.mark.parametrize(
    "limit",
    [
        pytest.param(
            "job_timeout",
            marks=[covers("Front ends", "ansible-runner, job_timeout", "interrupt"), rest],
        ),
        pytest.param(
            "idle_timeout",
            marks=[covers("Front ends", "ansible-runner, idle_timeout", "interrupt"), rest],
        ),
    ],
)
def test_nothing_survives_a_timeout_of_ansible_runner(
    among: Company, limit: str, took: Took
) -> None:
    """It kills the process group of ansible-playbook at once, and ends with status 254."""

    def wait_for_it(run: Run, lab: Lab) -> None:
        until(
            lambda: run.process.poll() is not None, LIMIT + 20, lambda: f"no {limit}\n{run.story}"
        )

    over = ends.interrupt(limit, wait_for_it, 254, recap=False)
    front = _with_settings(f"ansible-runner, {limit}", **{limit: LIMIT})
    outcome = play_row(
        among,
        Setting(
            front=front, pipelining=True, kinds=(*tree.COOPERATIVE, "ignores-signals", "storm")
        ),
        over,
        patience=LIMIT + 30,
    )
    took(outcome.seconds)
    assert_nothing_survived(outcome, over)


def _start_in_background(directory: Path, environ: dict[str, str]) -> list[str]:
    """Start it in the background.

    `ansible-runner start` goes into the background. A shell that waits for its end stays in its
    place.
    """
    place = fronts.private_data(directory, environ)
    fronts.settings(place)
    start = [programs.program("ansible-runner"), "start", str(place), "-p", "playbook.yml"]
    pid = f"{place}/pid"
    return fronts.in_shell(
        f'"$@"; until [ -s {pid} ]; do sleep 0.1; done; runner=$(cat {pid}); while [ -d '
        "/proc/$runner ]; do sleep 0.1; done",
        *start,
    )


@rest
@covers("Front ends", "ansible-runner start, stop", "interrupt")
def test_nothing_survives_ansible_runner_stop(among: Company, took: Took) -> None:
    """It kills the process group of ansible-runner, which has no ansible-playbook in it.

    The guardian notices that no process waits for the run.
    """

    def stop(run: Run, lab: Lab) -> None:
        words = [programs.program("ansible-runner"), "stop", str(run.directory / "private")]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL, timeout=30)

    stopped = ends.interrupt("ansible-runner stop", stop, 0, recap=False)
    outcome = play_row(
        among,
        Setting(front=FrontEnd("ansible-runner start", _start_in_background), pipelining=True),
        stopped,
    )
    took(outcome.seconds)
    assert_nothing_survived(outcome, stopped)


def _by_ansible_cfg(directory: Path, environ: dict[str, str]) -> list[str]:
    command = [*fronts.RUNNER.start(directory, environ)]
    (directory / "private/env/envvars").unlink()
    configuration = directory / "private/project/ansible.cfg"
    configuration.write_text(
        configuration.read_text().replace(
            "[defaults]", f"[defaults]\ncallbacks_enabled = {CALLBACK}"
        )
    )
    return command


def _by_settings_of_the_library(directory: Path, environ: dict[str, str]) -> list[str]:
    command = [*fronts.LIBRARY.start(directory, environ)]
    (directory / "private/env/envvars").unlink()
    argument = f"envvars={json.dumps({'ANSIBLE_CALLBACKS_ENABLED': CALLBACK})}, "
    return [word.replace("playbook=", f"{argument}playbook=") for word in command]


WAYS: Mapping[str, Callable[[Path, dict[str, str]], list[str]]] = {
    "ansible.cfg in the project": _by_ansible_cfg,
    "envvars of the library": _by_settings_of_the_library,
}


@rest
@pytest.mark.parametrize("way", [*WAYS])
def test_the_callback_can_be_enabled_otherwise(among: Company, way: str) -> None:
    """env/envvars is the way of all other rows."""
    front = FrontEnd(way, WAYS[way])
    killed = replace(ends.kill(0), recap=False)
    outcome = play_row(
        among, Setting(front=front, hosts=1, pipelining=True, kinds=tree.COOPERATIVE), killed
    )
    assert_nothing_survived(outcome, killed)


@rest
def test_the_events_of_ansible_runner_are_complete(shared_lab: Lab, among: Company) -> None:
    """Its own callback and ours are loaded side by side.

    The artifacts have the task that was interrupted.
    """
    events: list[str] = []
    verdicts: list[dict[str, Any]] = []

    def cancel(run: Run, lab: Lab) -> None:
        ends.to_main(ends.TERM)(run, lab)
        until(
            lambda: (
                not [
                    one
                    for one in controller.processes(run.row)
                    if "ansible-playbook" in one.command
                ]
            ),
            30,
            lambda: f"main goes on\n{run.story}",
        )
        until(
            lambda: run.process.poll() is not None,
            30,
            lambda: f"ansible-runner goes on\n{run.story}",
        )
        (artifacts,) = (run.directory / "private/artifacts").iterdir()
        for path in (artifacts / "job_events").glob("*.json"):
            event = json.loads(path.read_text())
            events.append(event["event"])
            if "treekill" in event.get("event_data", {}):
                verdicts.append(event)
        events.append((artifacts / "stdout").read_text())

    ended = ends.interrupt("TERM to main", cancel, 0, recap=False)
    outcome = play_row(
        among, Setting(front=fronts.RUNNER, hosts=1, pipelining=True, kinds=tree.COOPERATIVE), ended
    )
    assert_nothing_survived(outcome, ended, status=outcome.status)
    assert {"playbook_on_start", "playbook_on_task_start", "runner_on_start"} <= {*events}
    assert "TREEKILL RECAP [SIGTERM]" in events[-1], events[-1]
    # The verdict is one event, with the data that AWX keeps for the job.
    (event,) = verdicts
    told = event["event_data"]["treekill"]
    assert told["verdict"] == "1 host: 1 ended clean", told
    assert told["verdict"] in event["stdout"], event
    assert event["event_data"]["artifact_data"] == {"treekill": told}
    assert (told["cause"], [*told["hosts"].values()]) == ("SIGTERM", ["ended clean"]), told
