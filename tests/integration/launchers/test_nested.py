# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-playbook inside ansible-playbook.

One of them is interrupted, and the other one is unharmed, or ends with it.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.coverage import covers
from tests.support.hosts import Lab
from tests.support.run import controller, gate, tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run, program
from tests.support.run.waiting import until
from tests.support.trees import tree
from tests.support.trees.table import rest
from tests.support.trees.triggers import INT, KILL, TERM, Trigger

INNER = {"name": "The inner play", "hosts": "web1", "gather_facts": False, "tasks": [tasks.grow()]}


@contextmanager
def nested(lab: Lab, *, collection: bool = True) -> Iterator[Run]:
    """An outer play that runs an inner one on this machine.

    The tree of the inner one runs on web1. At that time the outer play waits at a gate on web2.
    """
    here = "inventory_hostname == 'web1'"
    inner = {
        "name": "Run a playbook",
        "ansible.builtin.command": (
            f"{program('ansible-playbook')} {{{{ playbook_dir }}}}/inner.yml"
        ),
        "delegate_to": "localhost",
        "when": here,
        "ignore_errors": True,
        "register": "inner",
    }
    left = {
        "name": "Keep the result",
        "ansible.builtin.copy": {
            "content": "{{ inner }}",
            "dest": "/tmp/inner-{{ row }}",
            "mode": "0644",
        },
        "when": here,
    }
    play = Play(
        [inner, tasks.gate(when="inventory_hostname == 'web2'"), left, tasks.trace("after")],
        hosts=("web1", "web2"),
        keywords={"strategy": "free"},
        files={"inner.yml": json.dumps([INNER])},
        options={"kill_timeout": 3},
        collection=collection,
    )
    with started(lab, play) as run:
        tasks.wait_for_tree(run, [lab["web1"]])
        gate.wait_at(run, lab["web2"])
        yield run


def inner_main(run: Run) -> controller.Local:
    """Return the main process of the inner run."""
    inner = {
        process.id.pid: process
        for process in controller.processes(run.row)
        if "inner.yml" in process.command and "/ansible-playbook " in process.command
    }
    mains = [
        process
        for process in inner.values()
        if process.ppid not in inner
        and process.command.split(" ", 1)[0].rpartition("/")[2].startswith("python")
    ]
    mains = [
        process
        for process in mains
        if "AnsiballZ" not in process.command and " -c " not in process.command
    ]
    assert len(mains) == 1, f"{[*map(str, mains)]} of {[*map(str, inner.values())]}\n{run.story}"
    return mains[0]


INNER_ONE = "ansible-playbook inside ansible-playbook, the inner one"
OUTER_ONE = "ansible-playbook inside ansible-playbook, the outer one"


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, marks=covers("Front ends", INNER_ONE, "interrupt"), id="INT"),
        pytest.param(
            signal.SIGKILL, marks=[covers("Front ends", INNER_ONE, "KILL of main"), rest], id="KILL"
        ),
    ],
)
def test_the_outer_run_goes_on_when_the_inner_one_is_interrupted(
    lab: Lab, number: signal.Signals
) -> None:
    with nested(lab) as run:
        inner_main(run).id.kill(number)
        tasks.wait_until_gone(run, [lab["web1"]])
        # The task of the outer run on the other host was not touched, and the outer run goes on
        # behind the inner one.
        assert tasks.alive(run, lab["web2"]), run.story
        until(
            lambda: tasks.has_left_trace(run, lab["web1"], "after"),
            30,
            lambda: f"the outer run does not go on\n{run.story}",
        )
        gate.open_gate(run, lab["web2"])
        assert run.wait(30) == 0, run.story
        assert tasks.has_left_trace(run, lab["web2"], "after"), run.story
        tasks.wait_until_nothing_is_left(run)
        result = json.loads((lab["web1"].root / f"tmp/inner-{run.row}").read_text())
        if number is signal.SIGINT:
            # The process that started it is the one that reads its output.
            assert result["rc"] == 99, result
            assert "TREEKILL RECAP [SIGINT]" in result["stderr"], result
            assert "survivors 0" in result["stderr"], result


@pytest.mark.parametrize(
    "trigger",
    [
        pytest.param(INT, marks=covers("Front ends", OUTER_ONE, "interrupt"), id=INT.name),
        pytest.param(
            TERM, marks=[covers("Front ends", OUTER_ONE, "interrupt"), rest], id=TERM.name
        ),
        pytest.param(
            KILL, marks=[covers("Front ends", OUTER_ONE, "KILL of main"), rest], id=KILL.name
        ),
    ],
)
def test_the_inner_run_ends_with_the_outer_one(lab: Lab, trigger: Trigger) -> None:
    with nested(lab) as run:
        trigger.fire(run, lab)
        tasks.wait_until_gone(run, lab, 40)
        tasks.wait_until_nothing_is_left(run)
        assert run.wait(30) == trigger.status, run.story
        assert not tasks.has_left_trace(run, lab["web1"], "after"), run.story


@pytest.mark.parametrize("trigger", [INT], ids=lambda trigger: trigger.name)
def test_without_the_collection_the_tree_of_the_inner_run_survives(
    lab: Lab, trigger: Trigger
) -> None:
    """The control."""
    with nested(lab, collection=False) as run:
        trigger.fire(run, lab)
        assert run.wait(30) == trigger.status, run.story
        assert {tree.label_of(line, run.row) for line in tasks.alive(run, lab["web1"])} & {
            *tree.COOPERATIVE
        }, run.story


# Each takes long: `make coverage` runs them.
pytestmark = pytest.mark.rest
