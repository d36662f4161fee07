# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs in the execution environment of the guide, ended in every way that its users have.

The environment is built here: `execution_environment.py` names what is replaced in it, and why.
Nothing but its own `/etc/ansible/ansible.cfg` turns the callback on. Most ends kill the container,
with all processes of the controller in it. Then only the supervisors on the hosts are left, and no
process that could print a recap.
"""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.survival.test_controls import HUP_PROOF
from tests.support.coverage import covers
from tests.support.hosts import Lab
from tests.support.hosts.errors import KindUnavailable, PackagesMissing
from tests.support.run.play import CALLBACK, Setting
from tests.support.run.run import Run, started
from tests.support.run.waiting import until
from tests.support.trees import census, tree
from tests.support.trees.bystanders import Company
from tests.support.trees.rows import Outcome, play_row, tidy
from tests.support.trees.table import Took, assert_nothing_survived, rest
from tests.support.trees.triggers import Trigger

from . import contained, ends, execution_environment
from .contained import Contained
from .execution_environment import IMAGE, OTHER, Engine

pytestmark = rest  # The environment takes minutes to build.

#: First words of the line with which a guarded run begins at -v.
GUARDS = re.compile(r"treekill\.remote \S+ guards all tasks of run [0-9a-f]{16}\.")

#: Seconds until the run, its container and its tree have ended. ansible-runner looks every five
#: seconds whether it was cancelled, and podman takes some seconds on a busy machine.
PATIENCE = 40.0

#: Processes that stay behind however their terminal ends.
_KINDS = (*tree.COOPERATIVE, "ignores-signals", "setsid-cleared", "daemon-cleared")


@pytest.fixture(scope="module")
def here(shared_lab: Lab) -> Iterator[Engine]:
    """podman, with the execution environment."""
    try:
        with execution_environment.engine() as engine:
            execution_environment.build(engine)
            yield engine
    except (KindUnavailable, PackagesMissing) as reason:
        pytest.skip(str(reason))


def test_the_callbacks_of_the_base_image_stay_enabled(here: Engine) -> None:
    """The environment adds one to the list of that file."""
    words = ("ansible-config", "dump", "--only-changed", "--format", "json")
    dump = json.loads(here.call("run", "--rm", IMAGE, *words))
    (enabled,) = [one["value"] for one in dump if one.get("name") == "CALLBACKS_ENABLED"]
    assert enabled == [OTHER, CALLBACK]


@dataclass(frozen=True)
class Row:
    """A front end, and one way in which its run ends.

    What the user then sees: `recap` and verdict or neither, and the job's status, empty for a front
    end that has none.
    """

    front: Contained
    trigger: Callable[[Engine], Trigger]
    name: str
    end: str  #: column of the table of what is covered
    job: str = ""
    in_every_run: bool = False


def _always(trigger: Trigger) -> Callable[[Engine], Trigger]:
    return lambda here: trigger


def _podman(status: int | None, recap: bool, *words: str) -> Callable[[Engine], Trigger]:
    """Run a command of podman on the container of the run."""

    def at(here: Engine) -> Trigger:
        def fire(run: Run, lab: Lab) -> None:
            (container,) = here.containers()
            here.call(*words, container)

        return ends.interrupt(f"podman {words[0]}", fire, status, recap=recap)

    return at


def _receptor(run: Run, lab: Lab) -> None:
    """Cancel as receptor does: SIGINT, and SIGKILL to that one process ten seconds later."""
    worker = ends.front_of(run, "ansible-runner worker")
    worker.id.kill(signal.SIGINT)
    worker.id.wait(time.monotonic() + 10)
    worker.id.kill()


def _to(word: str, number: signal.Signals, status: int) -> Callable[[Engine], Trigger]:
    fire = ends.to_front(word, number)
    return _always(ends.interrupt(f"{number.name} to {word}", fire, status, recap=False))


_STOP, _KILL = ("stop", "--time", "30"), ("kill",)
_NAVIGATOR, _INTERACTIVE = (
    contained.navigator(),
    contained.navigator("--playbook-artifact-enable", "false"),
)
_RUNNER, _NODE, _POD = contained.runner, contained.execution_node, contained.pod

ROWS = (
    Row(
        _NAVIGATOR,
        _always(replace(ends.CTRL_C, status=254, recap=False)),
        "Ctrl-C",
        "interrupt",
        in_every_run=True,
    ),
    Row(_NAVIGATOR, _podman(137, False, *_KILL), "podman kill", "KILL of main"),
    Row(_NAVIGATOR, _podman(143, True, *_STOP), "podman stop", "interrupt"),
    Row(_NAVIGATOR, _to("ansible-navigator", signal.SIGTERM, 143), "TERM", "interrupt"),
    Row(_NAVIGATOR, _to("ansible-navigator", signal.SIGKILL, 137), "KILL", "interrupt"),
    Row(_INTERACTIVE, _always(ends.CTRL_C), "Ctrl-C", "interrupt", in_every_run=True),
    Row(
        _NODE,
        _always(ends.interrupt("as receptor", _receptor, 0, recap=False)),
        "INT to the worker",
        "interrupt",
        "canceled",
        in_every_run=True,
    ),
    Row(_NODE, _podman(0, False, *_KILL), "podman kill", "KILL of main", "failed"),
    Row(_RUNNER, _to("ansible-runner run", signal.SIGINT, 254), "INT", "interrupt", "canceled"),
    Row(
        _RUNNER,
        _always(replace(ends.TERM_TO_MAIN, status=143)),
        "TERM to main",
        "interrupt",
        "failed",
        in_every_run=True,
    ),
    Row(_RUNNER, _podman(143, False, *_STOP), "podman stop", "interrupt", "failed"),
    Row(_RUNNER, _podman(137, False, *_KILL), "podman kill", "KILL of main", "failed"),
    Row(_RUNNER, _to("ansible-runner run", signal.SIGKILL, -9), "KILL", "interrupt"),
    Row(_POD, _podman(0, False, *_STOP), "podman stop", "interrupt", "canceled"),
    Row(_POD, _podman(0, False, *_KILL), "podman kill", "KILL of main", in_every_run=True),
)


@dataclass
class Job:
    """The artifacts that ansible-runner leaves to its user, AWX for one."""

    status: str = ""
    text: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        """Return the events with a verdict."""
        return [event for event in self.events if "treekill" in event.get("event_data", {})]


def _job(directory: Path) -> Job:
    """Return what is in the artifacts of a run."""
    job = Job()
    for place in ("private", "processed"):
        for path in (directory / place).glob("artifacts/**/*"):
            if path.name in ("status", "stdout"):
                text = path.read_text(errors="replace")
                job.status, job.text = (
                    (text, job.text) if path.name == "status" else (job.status, text)
                )
            elif path.parent.name == "job_events" and path.suffix == ".json":
                job.events.append(json.loads(path.read_text()))
    return job


def _setting(front: Contained, here: Engine, **more: Any) -> Setting:
    return Setting(front=front(here), pipelining=True, kinds=_KINDS, **more)


def _params() -> Iterator[Any]:
    for row in ROWS:
        front = row.front(Engine(Path())).name
        yield pytest.param(
            row,
            marks=[
                covers("Front ends", front, row.end),
                *([] if row.in_every_run else [rest]),
            ],
            id=f"{front}, {row.name}",
        )


@pytest.mark.parametrize("row", [*_params()])
def test_nothing_survives(among: Company, here: Engine, row: Row, took: Took) -> None:
    """Recap and verdict are there if the main process lives to make them, and only then."""
    trigger = replace(row.trigger(here), terminal=row.front in (_NAVIGATOR, _INTERACTIVE))
    jobs = []

    def fire(run: Run, lab: Lab) -> None:
        trigger.fire(run, lab)
        until(
            lambda: run.process.poll() is not None and not here.containers(),
            PATIENCE,
            lambda: f"it goes on: {here.containers()}\n{run.story}",
        )
        jobs.append(_job(run.directory))

    outcome = play_row(among, _setting(row.front, here), trigger, fire=fire, patience=PATIENCE)
    took(outcome.seconds)
    assert_nothing_survived(outcome, replace(trigger, recap=False))
    _assert_turned_on(outcome)
    _assert_seen(outcome, jobs[0], recap=trigger.recap, status=row.job)


def _assert_turned_on(outcome: Outcome) -> None:
    """Assert that the file of the environment has enabled the callback."""
    assert "Using /etc/ansible/ansible.cfg as config file" in outcome.output, outcome.story
    assert GUARDS.search(outcome.output), outcome.story


def _assert_seen(outcome: Outcome, job: Job, *, recap: bool, status: str) -> None:
    """Assert what the user sees on the screen, and in the output and the events of a job."""
    screen = f"{outcome.output}\n{outcome.errors}"
    for text in [screen, *([job.text] if job.text else [])]:
        assert ("TREEKILL RECAP" in text) is recap, outcome.story
        for host in outcome.hosts if recap else ():
            assert re.search(rf"{host} : ended \d+ .*survivors 0", text), outcome.story
    assert job.status == status, outcome.story
    if recap and status:
        (event,) = job.verdicts
        told = event["event_data"]["treekill"]
        assert told["verdict"] == "2 hosts: 2 ended clean", told
        assert event["event_data"]["artifact_data"] == {"treekill": told}
    else:
        assert job.verdicts == [], job.verdicts


@pytest.mark.parametrize(
    ("front", "trigger"),
    [
        pytest.param(_NAVIGATOR, _podman(137, False, *_KILL), id="ansible-navigator, podman kill"),
        pytest.param(
            _NODE,
            _always(ends.interrupt("as receptor", _receptor, 0, recap=False)),
            id="execution node, INT to the worker",
            marks=rest,
        ),
    ],
)
def test_without_the_callback_the_tree_survives(
    shared_lab: Lab, here: Engine, front: Contained, trigger: Callable[[Engine], Trigger]
) -> None:
    """The control: an `ansible.cfg` of the project takes the place of that of the environment."""
    host, end = shared_lab["web1"], trigger(here)
    known = {host.name: frozenset(process.id for process in host.processes())}
    with started(
        shared_lab, _setting(front, here, hosts=1), collection=False, terminal=front is _NAVIGATOR
    ) as run:
        census.wait_for_tree(run, [host], known)
        end.fire(run, shared_lab)
        status = run.wait(PATIENCE)
        until(lambda: not here.containers(), PATIENCE, lambda: f"{here.containers()}\n{run.story}")
        found = {
            census.name_of(process, run.row)
            for process in census.survivors([host], known, run.row)[host.name]
        }
        story = run.story
        assert not GUARDS.search(run.output), story
    tidy([host], known)
    assert found >= {name for name in HUP_PROOF if name in _KINDS}, story
    assert status == end.status, story
