# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host without Python: the kill pass is a shell script there."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support.hosts import Host, Lab
from tests.support.run import tasks
from tests.support.run.playing import Play, started
from tests.support.trees.triggers import INT, KILL, Trigger


@pytest.fixture(scope="module")
def bare() -> Iterator[Lab]:
    """A lab with one host that has no Python."""
    with Lab.up(count=1, kind="namespace", python=False) as lab:
        yield lab


@pytest.fixture
def host(bare: Lab, shared_lab: Lab) -> Host:
    """The host, clean. If no lab can be made, the other fixture reports it."""
    bare["web1"].reset()
    assert bare["web1"].python is None
    return bare["web1"]


@pytest.mark.parametrize("become", [False, True], ids=["login", "root"])
@pytest.mark.parametrize("trigger", [INT, KILL], ids=lambda trigger: trigger.name)
def test_the_shell_ends_the_tree(bare: Lab, host: Host, trigger: Trigger, become: bool) -> None:
    kinds = ("background", "grandchild", "setsid", "nohup", "daemon", "ignores-signals", "stopped")
    raw = {
        "name": "Grow a tree",
        "ansible.builtin.raw": "{{ lookup('file', 'tree.sh') }}",
        "become": become,
    }
    bystander = host.spawn(["sleep", "7205"], user="ansible")
    with started(bare, Play([raw], options={"kill_timeout": 1}, kinds=kinds)) as run:
        tasks.wait_for_tree(run, [host])
        trigger.fire(run, bare)
        assert run.wait(60) == trigger.status, run.story
        tasks.wait_until_gone(run, [host])
        if trigger.recap:
            assert re.search(r"^web1 +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE), (
                run.story
            )
        tasks.wait_until_nothing_is_left(run)
        assert bystander.id.alive()
