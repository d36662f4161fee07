# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`ansible-playbook one.yml two.yml`: one main process, and one guarded run.

Core starts it twice, as callbacks see it.
"""

from __future__ import annotations

import json
import re

import pytest

from tests.support.coverage import covers
from tests.support.hosts import Host, Lab
from tests.support.run import tasks
from tests.support.run.playing import Play, started
from tests.support.trees.triggers import INT, KILL, Trigger

SECOND = json.dumps(
    [{"name": "Second", "hosts": "targets", "gather_facts": False, "tasks": [tasks.grow()]}]
)


@pytest.mark.parametrize(
    "trigger",
    [
        pytest.param(INT, marks=covers("Play features", "several playbooks", "interrupt")),
        pytest.param(KILL, marks=covers("Play features", "several playbooks", "KILL of main")),
    ],
    ids=lambda trigger: trigger.name,
)
def test_a_run_that_is_interrupted_in_its_second_playbook_is_one_run(
    lab: Lab, web1: Host, trigger: Trigger
) -> None:
    with started(
        lab,
        Play(
            [tasks.trace()],
            options={"kill_timeout": 1},
            files={"second.yml": SECOND},
            arguments=["second.yml"],
        ),
    ) as run:
        tasks.wait_for_tree(run, [web1])
        trigger.fire(run, lab)
        assert run.wait(40) == trigger.status, run.story
        tasks.wait_until_gone(run, [web1])
        tasks.wait_until_nothing_is_left(run)
        if trigger.recap:
            assert re.findall(r"TREEKILL RECAP \[(.*)\]", run.errors) == ["SIGINT"], run.story
            assert re.search(r"^web1 +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE), (
                run.story
            )
