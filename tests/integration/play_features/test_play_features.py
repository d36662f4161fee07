# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every feature of a play, interrupted in the middle of it.

No process of it is alive on any host, and none is started there later.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

import pytest

from tests.support.coverage import covers
from tests.support.hosts import Lab
from tests.support.run import tasks
from tests.support.trees import tree
from tests.support.trees.table import rest
from tests.support.trees.triggers import INT, KILL

from .feature import (
    GROWN,
    HERE,
    LOOK,
    SEND_TREE,
    Feature,
    assert_over,
    assert_rescued,
    grown,
    grown_here,
    run_out,
)

BOTH = ("web1", "web2")


def block(**sections: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": "A block", **sections}


def grow_if(condition: str, **keywords: Any) -> dict[str, Any]:
    """Return tasks that grow a tree the first time; what comes after it leaves a trace."""
    task = tasks.grow(**keywords)
    return {
        **task,
        "ansible.builtin.shell": (
            f"{{{{ lookup('file', 'tree.sh') if {condition} else 'touch /tmp/trace-' ~ row ~ "
            f"'-next' }}}}"
        ),
    }


FEATURES = (
    Feature("delegate_to", [tasks.grow(delegate_to="web2")], grows_on=("web2",)),
    Feature("delegate_to localhost", [tasks.grow(delegate_to=HERE)], grows_on=(HERE,)),
    Feature(
        "connection local",
        [tasks.grow()],
        grows_on=(HERE,),
        keywords={"connection": "local"},
        section="Connections",
        subject="local",
    ),
    # Core rescues the host that has run it, and counts the other one as failed.
    Feature("run_once", [tasks.grow(run_once=True)], hosts=BOTH, status_of_timeout=2),
    Feature("loop", [grow_if("item == 1", loop=[1, 2, 3])]),
    Feature(
        "loop, delegate_to for each item",
        [grow_if("item == 'web2'", loop=["web2", "web1"], delegate_to="{{ item }}")],
        grows_on=("web2",),
    ),
    Feature("until", [tasks.grow(until=False, retries=5, delay=0)]),
    Feature(
        "block, rescue and always",
        [block(block=[tasks.grow()], rescue=[LOOK, tasks.trace()], always=[tasks.trace()])],
    ),
    Feature(
        "inside rescue",
        [
            block(
                block=[{"ansible.builtin.fail": None}],
                rescue=[tasks.grow()],
                always=[LOOK, tasks.trace()],
            )
        ],
    ),
    Feature(
        "inside always",
        [block(block=[{"ansible.builtin.meta": "noop"}], always=[tasks.grow(), tasks.trace()])],
    ),
    Feature(
        "handlers",
        [
            {
                "name": "Notify",
                "ansible.builtin.command": "true",
                "notify": ["Grow a tree", "Leave a trace, ran"],
            },
            {"ansible.builtin.meta": "flush_handlers"},
        ],
        keywords={"handlers": [tasks.grow(), tasks.trace()]},
    ),
    Feature(
        "notified handlers, force_handlers",
        [
            {"name": "Notify", "ansible.builtin.command": "true", "notify": "Leave a trace, ran"},
            tasks.grow(),
        ],
        keywords={"handlers": [tasks.trace()], "force_handlers": True},
    ),
    Feature(
        "include_tasks",
        [{"ansible.builtin.include_tasks": "more.yml"}],
        files={"more.yml": json.dumps([tasks.grow(), tasks.trace()])},
    ),
    Feature(
        "import_role",
        [{"ansible.builtin.import_role": {"name": "growing"}}],
        files={"roles/growing/tasks/main.yml": json.dumps([tasks.grow()])},
    ),
    Feature(
        "serial", [grow_if("inventory_hostname == 'web1'")], hosts=BOTH, keywords={"serial": 1}
    ),
    Feature("throttle", [grow_if("inventory_hostname == 'web1'", throttle=1)], hosts=BOTH),
    Feature(
        "strategy linear, two hosts",
        [tasks.grow()],
        hosts=BOTH,
        grows_on=BOTH,
        subject="strategy linear",
    ),
    Feature(
        "any_errors_fatal",
        [tasks.grow()],
        hosts=BOTH,
        grows_on=BOTH,
        keywords={"any_errors_fatal": True},
    ),
    Feature(
        "strategy free", [tasks.grow()], hosts=BOTH, grows_on=BOTH, keywords={"strategy": "free"}
    ),
    Feature(
        "strategy host_pinned",
        [tasks.grow()],
        hosts=BOTH,
        grows_on=BOTH,
        keywords={"strategy": "host_pinned"},
    ),
    # At the end of a failed task it asks what to do, and here it reads nothing. Its behaviour at
    # its prompt is in test_debugger.
    Feature(
        "strategy debug",
        [tasks.grow()],
        hosts=BOTH,
        grows_on=BOTH,
        keywords={"strategy": "debug"},
        rescued=False,
        status_of_timeout=99,
    ),
    Feature(
        "gather_facts",
        [
            {
                "name": "A place for facts",
                "ansible.builtin.file": {
                    "path": "/tmp/facts-{{ row }}",
                    "state": "directory",
                    "mode": "0755",
                },
            },
            {
                **SEND_TREE,
                "ansible.builtin.copy": {
                    **SEND_TREE["ansible.builtin.copy"],
                    "dest": "/tmp/facts-{{ row }}/slow.fact",
                },
            },
            {
                "name": "Gather facts",
                "ansible.builtin.gather_facts": {"fact_path": "/tmp/facts-{{ row }}"},
            },
        ],
    ),
    Feature(
        "copy that validates",
        [
            SEND_TREE,
            {
                "ansible.builtin.copy": {
                    "content": "x",
                    "dest": "/tmp/copy-{{ row }}",
                    "validate": f"sh {GROWN} %s",
                }
            },
        ],
        subject="copy, validate",
    ),
    Feature(
        "template that validates",
        [
            SEND_TREE,
            {
                "ansible.builtin.template": {
                    "src": "x.j2",
                    "dest": "/tmp/template-{{ row }}",
                    "validate": f"sh {GROWN} %s",
                }
            },
        ],
        files={"templates/x.j2": "{{ row }}"},
        subject="template",
    ),
    # Its own command: what a supervisor does for modules is not done for it.
    Feature(
        "reboot, while its command runs",
        [
            SEND_TREE,
            {"name": "Reboot", "ansible.builtin.reboot": {"reboot_command": f"sh {GROWN}"}},
        ],
        subject="reboot",
    ),
    Feature(
        "builtin raw",
        [{"ansible.builtin.raw": "{{ lookup('file', 'tree.sh') }}"}],
        section="Actions",
        subject="ansible.builtin.raw",
    ),
    Feature(
        "builtin script",
        [{"ansible.builtin.script": "tree.sh"}],
        section="Actions",
        subject="ansible.builtin.script",
    ),
    Feature(
        "builtin command",
        [SEND_TREE, {"ansible.builtin.command": f"sh {GROWN}"}],
        section="Actions",
        subject="ansible.builtin.command",
    ),
    Feature(
        "builtin shell",
        [tasks.grow()],
        section="Actions",
        subject="ansible.builtin.shell",
        also=(("Connections", "ssh"),),
    ),
)

#: Features that may differ most in whether something more starts after an interruption.
INTERRUPTED = (
    "delegate_to localhost",
    "run_once",
    "loop, delegate_to for each item",
    "block, rescue and always",
    "inside rescue",
    "notified handlers, force_handlers",
    "strategy free",
    "gather_facts",
    "reboot, while its command runs",
)

#: Features that differ most in the effects of a sudden death of the main process.
SUDDEN = (
    "delegate_to localhost",
    "loop, delegate_to for each item",
    "block, rescue and always",
    "notified handlers, force_handlers",
    "gather_facts",
    "reboot, while its command runs",
    "builtin raw",
)

#: Such features for a timeout.
RESCUED = ("delegate_to localhost", "loop", "inside rescue", "strategy free", "builtin script")


def features(end: str, usual: Collection[str] | None = None) -> pytest.MarkDecorator:
    """Return each of them, and what it covers by this end.

    `usual`: those that are not left to --every-row.
    """
    return pytest.mark.parametrize(
        "feature",
        [
            pytest.param(
                one,
                id=one.name,
                marks=[
                    *(covers(*words, end) for words in one.covered),
                    *([rest] if usual and one.name not in usual else []),
                ],
            )
            for one in FEATURES
        ],
    )


@features("interrupt", INTERRUPTED)
def test_nothing_survives_an_interruption_and_nothing_more_starts(
    lab: Lab, feature: Feature
) -> None:
    with grown(lab, feature) as run:
        INT.fire(run, lab)
        assert_over(run, lab, feature, INT)
        lines = re.findall(r": ended [1-9]\d* .*survivors 0", run.errors)
        assert len(lines) == len(feature.grows_on), run.story


@features("KILL of main", SUDDEN)
def test_nothing_survives_the_death_of_the_main_process(lab: Lab, feature: Feature) -> None:
    with grown(lab, feature) as run:
        KILL.fire(run, lab)
        assert_over(run, lab, feature, KILL)


@features("timeout", RESCUED)
def test_nothing_survives_a_timeout_and_the_run_goes_on(lab: Lab, feature: Feature) -> None:
    """The tree is gone before the rescue begins."""
    with grown(lab, feature, timeout=True) as run:
        run_out(run, lab, feature)
        assert_rescued(run, lab, feature)


@pytest.mark.parametrize(
    "name",
    ["delegate_to", "delegate_to localhost", "gather_facts", "reboot, while its command runs"],
)
def test_without_the_collection_the_tree_survives(lab: Lab, name: str) -> None:
    """The control."""
    feature = next(one for one in FEATURES if one.name == name)
    with grown(lab, feature, collection=False) as run:
        INT.fire(run, lab)
        assert run.wait(20) is not None, run.story
        left = {tree.label_of(line, run.row) for line in tasks.alive(run, *lab)} | grown_here(run)
        assert left & {*tree.COOPERATIVE}, run.story


@pytest.mark.parametrize("name", ["run_once", "handlers", "strategy debug"])
def test_without_the_collection_a_timeout_ends_the_run_with_the_same_status(
    lab: Lab, name: str
) -> None:
    """The control of what is expected of the run, with a tree that survives."""
    feature = next(one for one in FEATURES if one.name == name)
    with grown(lab, feature, collection=False, timeout=True) as run:
        run_out(run, lab, feature)
        assert run.wait(40) == feature.status_of_timeout, run.story
        assert {tree.label_of(line, run.row) for line in tasks.alive(run, *lab)} & {
            *tree.COOPERATIVE
        }, run.story
