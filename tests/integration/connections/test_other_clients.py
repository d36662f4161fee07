# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Other clients of sshd than OpenSSH: libssh is guarded. mitogen is not, and its user is told so.

libssh waits in a library, and notices no `timeout:` of a task.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support.coverage import covers
from tests.support.hosts import Lab
from tests.support.labs.lab_or_skip import lab_or_skip
from tests.support.run import tasks
from tests.support.run.play import Setting
from tests.support.run.playing import Play, started
from tests.support.run.waiting import stays
from tests.support.trees.bystanders import Companies
from tests.support.trees.rows import play_row
from tests.support.trees.table import Took, assert_nothing_survived, rest
from tests.support.trees.triggers import INT, KILL, LOST_CONTROLLER, TIMEOUT, Trigger

from . import community
from .ends import ENDS

LIBSSH = "ansible.netcommon.libssh"

#: Seconds for which nothing notices a timeout.
UNNOTICED_SECONDS = 5.0

#: Text of the warning that a play begins with.
TOLD = "treekill.remote: NOT PROTECTED: plays with the strategy mitogen_{}"


def _library(package: str) -> Iterator[str]:
    try:
        place = community.fetch_library(package)
    except community.NotToBeHad as reason:
        pytest.skip(str(reason))
    with community.on_path(place):
        yield str(place)


@pytest.fixture
def libssh(collections: None) -> Iterator[str]:
    """The library of the connection plugin."""
    yield from _library("ansible-pylibssh")


@pytest.fixture
def mitogen(namespaces: None) -> Iterator[str]:
    """The strategies. The value is their folder."""
    for place in _library("mitogen"):
        yield f"{place}/ansible_mitogen/plugins/strategy"


def _row(trigger: Trigger, become: str, *more: pytest.MarkDecorator) -> object:
    return pytest.param(
        trigger,
        become,
        id=f"{trigger.name}, become {become}",
        marks=[*more, *([covers("Connections", LIBSSH, ENDS[trigger])] if trigger in ENDS else [])],
    )


@pytest.mark.parametrize(
    ("trigger", "become"),
    [
        _row(LOST_CONTROLLER, "no"),
        _row(INT, "no", rest),
        _row(KILL, "no", rest),
        _row(INT, "root, no password", rest),
        _row(KILL, "root, no password", rest),
        _row(LOST_CONTROLLER, "root, no password", rest),
    ],
)
def test_nothing_survives_over_libssh(
    libssh: str, lab: Lab, companies: Companies, trigger: Trigger, become: str, took: Took
) -> None:
    setting = Setting(
        hosts=1,
        connection=LIBSSH,
        become=become,
        variables={"web1": {"ansible_host_key_checking": False}},
    )
    outcome = play_row(companies.on(lab), setting, trigger)
    took(outcome.seconds)
    assert_nothing_survived(outcome, trigger)


@pytest.mark.parametrize(
    "collection", [True, pytest.param(False, marks=rest)], ids=["with", "without"]
)
def test_a_timeout_over_libssh_has_no_effect(libssh: str, lab: Lab, collection: bool) -> None:
    """The plugin waits in its library, which drops the exception. So it is without the guard too.

    The task goes on, and its result is that of a task without a timeout.
    """
    host = lab["web1"]
    play = Play(
        [
            {
                "name": "Rescued",
                "block": [tasks.gate(timeout=3600)],
                "rescue": [{"name": "Rescue", "ansible.builtin.debug": {}}],
            }
        ],
        keywords={"connection": LIBSSH},
        variables={"ansible_host_key_checking": False},
        collection=collection,
    )
    with started(lab, play) as run:
        tasks.wait_at(run, host)
        before = tasks.alive(run, host)
        TIMEOUT.fire(run, lab)
        stays(
            lambda: tasks.alive(run, host) == before and run.process.poll() is None,
            UNNOTICED_SECONDS,
            f"the timeout was noticed\n{run.story}",
        )
        tasks.open_gate(run, host)
        assert run.wait(60) == 0, run.story
        assert "changed: [web1]" in run.output, run.story
        assert "TASK [Rescue]" not in run.output, run.story


@pytest.mark.parametrize("strategy", ["linear", pytest.param("free", marks=rest)])
def test_a_play_with_mitogen_is_told_before_its_first_task_and_in_the_recap(
    mitogen: str, strategy: str
) -> None:
    """The tree survives: so no line may look like an all-clear."""
    play = Play(
        [tasks.grow()],
        keywords={"strategy": f"mitogen_{strategy}"},
        environ={"ANSIBLE_STRATEGY_PLUGINS": mitogen},
        terminal=True,
    )
    with lab_or_skip(1) as one, started(one, play) as run:
        tasks.wait_for_tree(run, [one["web1"]])
        before = tasks.said(run)
        told = before.find(TOLD.format(strategy))
        assert 0 <= told < before.find("TASK [Grow a tree]"), run.story
        assert "Use a strategy of ansible-core, such as linear or free." in before, run.story
        run.press_ctrl_c()
        assert run.wait(40) == INT.status, run.story
        assert tasks.alive(run, one["web1"]), "mitogen ends it: the warning is wrong"
        recap = run.output.rpartition("TREEKILL RECAP")[2]
        assert re.search(r"^web1 +: NOT PROTECTED over mitogen_ssh: ", recap, re.MULTILINE), (
            run.story
        )
        assert "nothing was running" not in recap, run.story


def test_a_play_with_mitogen_that_wants_no_guard_is_not_told(mitogen: str) -> None:
    play = Play(
        [{"name": "Ping", "ansible.builtin.ping": {}}],
        keywords={"strategy": "mitogen_linear", "vars": {"treekill_track": "none"}},
        environ={"ANSIBLE_STRATEGY_PLUGINS": mitogen},
    )
    with lab_or_skip(1) as one, started(one, play) as run:
        assert run.wait(60) == 0, run.story
        assert not re.search("not protected", tasks.said(run), re.IGNORECASE), run.story
