# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever a play is made of: interrupted in the middle of it, nothing of it is alive on any host, and nothing more starts on one."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import Lab
from tests.matrix import controller, tree
from tests.matrix.run import Run
from tests.matrix.triggers import INT, KILL, Trigger
from tests.matrix.waiting import until
from tests.plays import tasks
from tests.plays.playing import Play, started

Task = dict[str, Any]

OPTIONS = {"kill_timeout": 1}
BOTH = ("web1", "web2")

GROWN = "/tmp/tree-{{ row }}.sh"
"""Where a host has the script that grows the tree."""

SEND_TREE: Task = {"name": "Send the tree", "ansible.builtin.copy": {"content": "#!/bin/sh\n{{ lookup('file', 'tree.sh') }}", "dest": GROWN, "mode": "0755"}}


@dataclass(frozen=True)
class Feature:
    """A play that grows its tree by some feature of Ansible."""

    name: str
    tasks: list[Task]
    hosts: tuple[str, ...] = ("web1",)  #: of the play
    grows_on: tuple[str, ...] = ("web1",)  #: where the tree stands when the run is interrupted; `localhost` is this machine
    keywords: dict[str, Any] = field(default_factory=dict)  #: of the play
    variables: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)  #: beside the playbook
    environ: dict[str, str] = field(default_factory=dict)


def block(**sections: list[Task]) -> Task:
    return {"name": "A block", **sections}


FEATURES = (
    Feature("delegate_to", [tasks.grow(delegate_to="web2")], grows_on=("web2",)),
    Feature("delegate_to localhost", [tasks.grow(delegate_to="localhost")], grows_on=("localhost",)),
    Feature("connection local", [tasks.grow()], grows_on=("localhost",), keywords={"connection": "local"}),
    Feature("run_once", [tasks.grow(run_once=True)], hosts=BOTH),
    Feature("loop", [tasks.grow(loop=[1, 2, 3])]),
    Feature("loop, delegate_to for each item", [tasks.grow(loop=["web2", "web1"], delegate_to="{{ item }}")], grows_on=("web2",)),
    Feature("until", [tasks.grow(until=False, retries=5, delay=0)]),
    Feature("block, rescue and always", [block(block=[tasks.grow()], rescue=[tasks.trace()], always=[tasks.trace()])]),
    Feature("inside rescue", [block(block=[{"ansible.builtin.fail": None}], rescue=[tasks.grow()], always=[tasks.trace()])]),
    Feature("inside always", [block(block=[{"ansible.builtin.meta": "noop"}], always=[tasks.grow(), tasks.trace()])]),
    Feature(
        "handlers",
        [{"name": "Notify", "ansible.builtin.command": "true", "notify": ["Grow a tree", "Leave a trace, ran"]}, {"ansible.builtin.meta": "flush_handlers"}],
        keywords={"handlers": [tasks.grow(), tasks.trace()]},
    ),
    Feature(
        "notified handlers, force_handlers",
        [{"name": "Notify", "ansible.builtin.command": "true", "notify": "Leave a trace, ran"}, tasks.grow()],
        keywords={"handlers": [tasks.trace()], "force_handlers": True},
    ),
    Feature("include_tasks", [{"ansible.builtin.include_tasks": "more.yml"}], files={"more.yml": json.dumps([tasks.grow(), tasks.trace()])}),
    Feature("import_role", [{"ansible.builtin.import_role": {"name": "growing"}}], files={"roles/growing/tasks/main.yml": json.dumps([tasks.grow()])}),
    Feature("serial", [tasks.grow()], hosts=BOTH, keywords={"serial": 1}),
    Feature("throttle", [tasks.grow(throttle=1)], hosts=BOTH),
    Feature("any_errors_fatal", [tasks.grow()], hosts=BOTH, grows_on=BOTH, keywords={"any_errors_fatal": True}),
    Feature("strategy free", [tasks.grow()], hosts=BOTH, grows_on=BOTH, keywords={"strategy": "free"}),
    Feature("strategy host_pinned", [tasks.grow()], hosts=BOTH, grows_on=BOTH, keywords={"strategy": "host_pinned"}),
    Feature("strategy debug", [tasks.grow()], hosts=BOTH, grows_on=BOTH, keywords={"strategy": "debug"}),
    Feature(
        "gather_facts",
        [
            {"name": "A place for facts", "ansible.builtin.file": {"path": "/tmp/facts-{{ row }}", "state": "directory", "mode": "0755"}},
            {**SEND_TREE, "ansible.builtin.copy": {**SEND_TREE["ansible.builtin.copy"], "dest": "/tmp/facts-{{ row }}/slow.fact"}},
            {"name": "Gather facts", "ansible.builtin.gather_facts": {"fact_path": "/tmp/facts-{{ row }}"}},
        ],
    ),
    Feature("copy that validates", [SEND_TREE, {"ansible.builtin.copy": {"content": "x", "dest": "/tmp/copy-{{ row }}", "validate": f"sh {GROWN} %s"}}]),
    Feature(
        "template that validates",
        [SEND_TREE, {"ansible.builtin.template": {"src": "x.j2", "dest": "/tmp/template-{{ row }}", "validate": f"sh {GROWN} %s"}}],
        files={"templates/x.j2": "{{ row }}"},
    ),
    Feature("builtin raw", [{"ansible.builtin.raw": "{{ lookup('file', 'tree.sh') }}"}]),
    Feature("builtin script", [{"ansible.builtin.script": "tree.sh"}]),
    Feature("builtin command", [SEND_TREE, {"ansible.builtin.command": f"sh {GROWN}"}]),
)

features = pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)


@contextmanager
def grown(lab: Lab, feature: Feature, *, collection: bool = True) -> Iterator[Run]:
    """The run of this play, when its tree stands. At the end nothing of it is left on this machine."""
    play = Play(
        [*feature.tasks, tasks.trace("after")],
        hosts=feature.hosts,
        keywords=feature.keywords,
        variables=feature.variables,
        files=feature.files,
        environ=feature.environ,
        options=OPTIONS,
        collection=collection,
    )
    with started(lab, play) as run:
        here = Path(tree.READY.format(row=run.row))
        try:
            tasks.wait_for_tree(run, [lab[name] for name in feature.grows_on if name != "localhost"])
            if "localhost" in feature.grows_on:
                until(lambda: grown_here(run) >= {*tree.COOPERATIVE, "plain"}, 40, lambda: f"there is only {grown_here(run)}\n{run.story}")
            yield run
        finally:
            shutil.rmtree(here, ignore_errors=True)


def grown_here(run: Run) -> set[str | None]:
    """The kinds of processes of the tree on this machine."""
    return {tree.label_of(process.command, run.row) for process in controller.processes(run.row)}


def assert_over(run: Run, lab: Lab, feature: Feature, trigger: Trigger) -> None:
    """Nothing of the run is alive anywhere, and nothing was started after the trigger."""
    tasks.wait_until_gone(run, lab)
    tasks.wait_until_nothing_is_left(run)
    assert run.wait(20) == trigger.status, run.story
    assert not [path.name for host in lab for path in (host.root / "tmp").glob(f"trace-{run.row}-*")], run.story
    assert not [path.name for path in Path("/tmp").glob(f"trace-{run.row}-*")], run.story
    others = {host.name for host in lab} - {*feature.grows_on}
    assert not [name for name in others if (lab[name].root / tree.READY.format(row=run.row).lstrip("/")).exists()], run.story


@features
def test_nothing_survives_an_interruption_and_nothing_more_starts(lab: Lab, feature: Feature) -> None:
    with grown(lab, feature) as run:
        INT.fire(run, lab)
        assert_over(run, lab, feature, INT)
        lines = re.findall(r": ended [1-9]\d* .*survivors 0", run.errors)
        assert len(lines) == len(feature.grows_on), run.story


SUDDEN = (
    "delegate_to localhost",
    "loop, delegate_to for each item",
    "block, rescue and always",
    "notified handlers, force_handlers",
    "gather_facts",
    "builtin raw",
)


@pytest.mark.parametrize("feature", [one for one in FEATURES if one.name in SUDDEN], ids=lambda feature: feature.name)
def test_nothing_survives_the_death_of_the_main_process(lab: Lab, feature: Feature) -> None:
    with grown(lab, feature) as run:
        KILL.fire(run, lab)
        assert_over(run, lab, feature, KILL)


@pytest.mark.parametrize("name", ["delegate_to", "delegate_to localhost", "gather_facts"])
def test_without_the_collection_the_tree_survives(lab: Lab, name: str) -> None:
    """The control."""
    feature = next(one for one in FEATURES if one.name == name)
    with grown(lab, feature, collection=False) as run:
        INT.fire(run, lab)
        assert run.wait(20) is not None, run.story
        left = {tree.label_of(line, run.row) for line in tasks.alive(run, *lab)} | grown_here(run)
        assert left & {*tree.COOPERATIVE}, run.story
