# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A wrong option is refused before anything happens.

The message names the option and what is allowed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import pytest

from tests.support.hosts import Host, Lab
from tests.support.run import tasks
from tests.support.run.playing import Play, started

#: The exit status with which core ends if an option is wrong.
OPTIONS_ERROR = 5


@dataclass(frozen=True)
class Wrong:
    """A value that is not allowed."""

    option: str
    value: str
    allowed: str  #: the allowed values, as the message has them

    @property
    def message(self) -> str:
        return (
            f"treekill option {self.option}: {self.value!r} is not allowed. Allowed: {self.allowed}"
        )


SIGNALS = "ABRT, ALRM, BUS, CHLD, "
SECONDS = "a number of seconds, 0 or more."
TRUTH = "true or false."

WRONG = [
    Wrong("kill_signal", "NOSUCH", SIGNALS),
    Wrong("kill_children_signal", "999", SIGNALS),
    Wrong("kill_mode", "both", "mixed, tree."),
    Wrong("kill_timeout", "-1", SECONDS),
    Wrong("kill_retry_for", "soon", SECONDS),
    Wrong("kill_wait", "maybe", TRUTH),
    Wrong("supervise", "maybe", TRUTH),
    Wrong("on_disconnect", "perhaps", "kill, keep."),
    Wrong("track", "everything", "all, plugins, none."),
]

#: Options that make sense for one task.
OF_A_TASK = [
    wrong
    for wrong in WRONG
    if wrong.option
    in ("kill_signal", "kill_children_signal", "kill_mode", "kill_timeout", "kill_retry_for")
] + [
    Wrong("kill_children", "perhaps", TRUTH),
]

SOURCES: Mapping[str, Callable[[Play, Mapping[str, str]], Play]] = {
    "ansible.cfg": lambda play, values: replace(play, options=values),
    "environment": lambda play, values: replace(
        play, environ={f"TREEKILL_{option.upper()}": value for option, value in values.items()}
    ),
    "extra variable": lambda play, values: replace(
        play,
        arguments=[
            "-e",
            json.dumps({f"treekill_{option}": value for option, value in values.items()}),
        ],
    ),
}

RIGHT = {
    "kill_signal": "sigint",
    "kill_children_signal": "2",
    "kill_mode": "Tree",
    "kill_timeout": "0.5",
    "kill_retry_for": "0",
    "kill_wait": "no",
    "on_disconnect": "keep",
    "track": "all",
}


def logins(host: Host) -> int:
    """Return how many sessions its sshd has let in so far."""
    return host.sshd_log.read_text(errors="replace").count("Accepted publickey")


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.option}={wrong.value}")
def test_a_wrong_option_ends_the_run_before_its_first_task(
    lab: Lab, web1: Host, wrong: Wrong, source: str
) -> None:
    before = logins(web1)
    with started(lab, SOURCES[source](Play([tasks.trace()]), {wrong.option: wrong.value})) as run:
        assert run.wait(40) == OPTIONS_ERROR, run.story
        assert wrong.message in tasks.said(run), run.story
        assert "TASK [" not in run.output, run.story
        assert not tasks.has_left_trace(run, web1)
        assert logins(web1) == before


@pytest.mark.parametrize("source", SOURCES)
def test_every_allowed_option_lets_the_run_go_on(lab: Lab, web1: Host, source: str) -> None:
    """The control: those ways, other values."""
    with started(lab, SOURCES[source](Play([tasks.trace()]), RIGHT)) as run:
        assert run.wait(40) == 0, run.story
        assert tasks.has_left_trace(run, web1)
        assert "treekill" not in tasks.said(run), run.story


def test_a_wrong_variable_of_a_host_fails_its_tasks_and_no_others(
    lab: Lab, web1: Host, web2: Host
) -> None:
    before = logins(web1)
    wrong = WRONG[0]
    play = Play(
        [tasks.trace()],
        hosts=("web1", "web2"),
        host_variables={"web1": {f"treekill_{wrong.option}": wrong.value}},
    )
    with started(lab, play) as run:
        assert run.wait(40) == 2, run.story
        assert wrong.message in tasks.said(run), run.story
        assert not tasks.has_left_trace(run, web1)
        assert logins(web1) == before
        assert tasks.has_left_trace(run, web2), run.story


def test_a_wrong_variable_of_a_task_fails_it_before_anything_is_sent(lab: Lab, web1: Host) -> None:
    before = logins(web1)
    wrong_tasks = [
        tasks.trace(vars={f"treekill_{wrong.option}": wrong.value}, ignore_errors=True)
        for wrong in WRONG
        if wrong.option != "kill_wait"
    ]
    _all_fail(
        lab, web1, wrong_tasks, [wrong for wrong in WRONG if wrong.option != "kill_wait"], before
    )


def test_a_wrong_argument_of_a_task_fails_it_before_anything_is_sent(lab: Lab, web1: Host) -> None:
    before = logins(web1)
    wrong_tasks = [
        {
            "name": "A wrong argument",
            "treekill.remote.command": {
                "cmd": "touch /tmp/trace-{{ row }}-ran",
                wrong.option: wrong.value,
            },
            "ignore_errors": True,
        }
        for wrong in OF_A_TASK
    ]
    _all_fail(lab, web1, wrong_tasks, OF_A_TASK, before)


def _all_fail(
    lab: Lab, host: Host, wrong_tasks: list[tasks.Task], wrongs: list[Wrong], before: int
) -> None:
    with started(lab, Play([*wrong_tasks, tasks.trace("right")])) as run:
        assert run.wait(60) == 0, run.story
        for wrong in wrongs:
            assert wrong.message in tasks.said(run), run.story
        assert run.output.count("...ignoring") == len(wrong_tasks), run.story
        assert not tasks.has_left_trace(run, host), run.story
        # One session, by the one task that is right.
        assert tasks.has_left_trace(run, host, "right"), run.story
        assert logins(host) == before + 1


@pytest.mark.parametrize("source", SOURCES)
def test_a_misspelt_option_gets_one_warning_and_the_run_goes_on(
    lab: Lab, web1: Host, source: str
) -> None:
    play = SOURCES[source](Play([tasks.trace()]), {"kill_timout": "5"})
    with started(lab, play) as run:
        assert run.wait(40) == 0, run.story
        assert tasks.has_left_trace(run, web1)
        said = " ".join(run.errors.split())
        assert said.count("is not an option of this collection") == 1, run.story
        assert re.search("kill_timout .* \\(nearest: (treekill_)?kill_timeout\\)", said, re.I), (
            run.story
        )
        assert "treekill" not in run.output, run.story
