# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`run_always`: after an interruption, each host runs `always` sections and nothing else.

They are those of the blocks that the host is in.

Every row looks at the traces on the hosts, the order of the tasks in the output, the exit status
and the recap.
"""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.coverage import covers
from tests.support.hosts import Lab
from tests.support.run import controller, tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees.table import rest
from tests.support.trees.triggers import CTRL_C, HUP, INT, KILL, TERM, Trigger

from .feature import HERE, OPTIONS, assert_nothing_is_left, traces

Task = dict[str, Any]

BOTH = ("web1", "web2")

#: A signal that comes sooner after an equal one counts as an echo of it.
ECHO_SECONDS = 0.3

#: Runs while the test interrupts. A command, so that it ends on TERM.
STAND = "touch /tmp/stands-{{ row }}-{{ inventory_hostname }}-%s; exec sleep 600"


def stand(name: str = "first", **keywords: Any) -> Task:
    """Return a task that lasts until it is interrupted."""
    return {"name": f"Stand, {name}", "ansible.builtin.shell": STAND % name, **keywords}


def mark(name: str, **keywords: Any) -> Task:
    """Return a task that leaves a trace for each host of the play."""
    return tasks.trace(f"{name}-{{{{ inventory_hostname }}}}", **keywords)


def block(name: str = "A block", **sections: Any) -> Task:
    return {"name": name, **sections}


@dataclass(frozen=True)
class Row:
    """A play that is interrupted when a task stands, and what has to run after that."""

    name: str
    steps: Sequence[Task]
    #: The traces that have to be on the hosts at the end, in no order.
    ran: Sequence[str]
    #: Words of the recap, a regular expression for each host that stood in a block with always.
    recap: Mapping[str, str] = field(default_factory=lambda: {"web1": "always ran"})
    hosts: Sequence[str] = ("web1",)
    #: (name of the task, host of the play) that have to stand before the interruption.
    stands: Sequence[tuple[str, str]] = (("first", "web1"),)
    keywords: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    sections: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    further_plays: Sequence[Mapping[str, Any]] = ()

    def play(self, *, on: bool = True, terminal: bool = False) -> Play:
        first = {
            "name": "A play",
            "hosts": "targets",
            "gather_facts": False,
            **self.keywords,
            "tasks": [*self.steps, mark("after")],
        }
        return Play(
            text=json.dumps([first, *self.further_plays]),
            hosts=self.hosts,
            options={**OPTIONS, **({"run_always": True} if on else {}), **self.options},
            files=self.files,
            variables=self.variables,
            arguments=self.arguments,
            sections=self.sections,
            terminal=terminal,
        )


def in_block(*always: Task, **sections: Any) -> Task:
    return block(block=[stand(), mark("next")], always=[*always], **sections)


def fail(**keywords: Any) -> Task:
    return {"name": "Fail", "ansible.builtin.command": "false", **keywords}


def on(host: str, task: Task) -> Task:
    return {**task, "when": f"inventory_hostname == '{host}'"}


NESTED = block(
    "The outer block",
    block=[
        block("The inner block", block=[stand(), mark("next")], always=[mark("inner")]),
        mark("between"),
    ],
    rescue=[mark("rescue")],
    always=[mark("outer")],
)

#: Puts a fact on the host that stands when it is gathered.
SLOW_FACT: Sequence[Task] = (
    {"ansible.builtin.file": {"path": "/tmp/facts", "state": "directory"}},
    {
        "ansible.builtin.copy": {
            "content": f"#!/bin/sh\n{STAND % 'first'}".replace("{{ inventory_hostname }}", "web1"),
            "dest": "/tmp/facts/stand.fact",
            "mode": "0755",
        },
    },
)

BOTH_RAN = dict.fromkeys(BOTH, "always ran")

ABANDONED = "always did not run to the end: the run was interrupted in one of them"

ROWS = (
    Row("in a block", [in_block(mark("always"))], ["always-web1"]),
    Row(
        "in a block with rescue",
        [in_block(mark("always"), rescue=[mark("rescue")])],
        ["always-web1"],
    ),
    Row("nested blocks, from the innermost out", [NESTED], ["inner-web1", "outer-web1"]),
    Row(
        "in a nested block without always",
        [block(block=[block(block=[stand()], rescue=[mark("no")])], always=[mark("always")])],
        ["always-web1"],
    ),
    Row(
        "in rescue",
        [block(block=[fail()], rescue=[stand(), mark("no")], always=[mark("always")])],
        ["always-web1"],
    ),
    Row(
        "in always, which is abandoned",
        [
            block(
                block=[block(block=[mark("first")], always=[stand(), mark("no")])],
                always=[mark("outer")],
            )
        ],
        ["first-web1", "outer-web1"],
        recap={"web1": ABANDONED},
    ),
    Row(
        "in the always section of no other block",
        [block(block=[mark("first")], always=[stand(), mark("no")])],
        ["first-web1"],
        recap={"web1": ABANDONED},
    ),
    Row(
        "in a block within always",
        [
            block(
                block=[mark("first")],
                always=[block(block=[stand()], always=[mark("inner")]), mark("no")],
            )
        ],
        ["first-web1", "inner-web1"],
        recap={"web1": ABANDONED},
    ),
    Row(
        "in a handler that is flushed within a block",
        [
            block(
                block=[
                    mark("first", notify=["Stand, first", "Leave a trace, handler"]),
                    {"ansible.builtin.meta": "flush_handlers"},
                    mark("no"),
                ],
                always=[mark("always")],
            )
        ],
        ["first-web1", "always-web1"],
        keywords={"handlers": [stand(), {**mark("no"), "name": "Leave a trace, handler"}]},
    ),
    Row(
        "in a handler at the end of the tasks",
        [in_block(mark("always")) | {"block": [mark("first", notify="Stand, first")]}],
        ["first-web1", "always-web1", "after-web1"],
        recap={},
        keywords={"handlers": [stand()]},
    ),
    Row(
        "before the first block", [stand(), block(block=[mark("no")], always=[mark("no")])], [], {}
    ),
    Row(
        "after a block",
        [block(block=[mark("first")], always=[mark("always")]), stand()],
        ["first-web1", "always-web1"],
        recap={},
    ),
    Row(
        "in fact gathering within a block",
        [
            *SLOW_FACT,
            block(
                block=[{"ansible.builtin.setup": {"fact_path": "/tmp/facts"}}],
                always=[mark("always")],
            ),
        ],
        ["always-web1"],
    ),
    Row(
        "in fact gathering of a play",
        SLOW_FACT,
        ["after-web1"],
        recap={},
        further_plays=(
            {
                "hosts": "targets",
                "gather_facts": True,
                "module_defaults": {"ansible.builtin.setup": {"fact_path": "/tmp/facts"}},
                "tasks": [block(block=[mark("no")], always=[mark("no")])],
            },
        ),
    ),
    Row(
        "two hosts, one of which waits for the other",
        [block(block=[mark("first"), on("web1", stand())], always=[mark("always")])],
        ["first-web1", "first-web2", "always-web1", "always-web2"],
        hosts=BOTH,
        recap=BOTH_RAN,
    ),
    Row(
        "two hosts in two blocks",
        [
            block(
                block=[on("web1", stand())],
                always=[mark("one")],
                when="inventory_hostname == 'web1'",
            ),
            block(block=[mark("no")], always=[mark("no")], when="inventory_hostname == 'web2'"),
        ],
        ["one-web1"],
        hosts=BOTH,
        recap=BOTH_RAN,
    ),
    *(
        Row(
            f"strategy {strategy}, hosts at different places",
            [
                block(
                    "The outer block",
                    block=[
                        on("web1", stand()),
                        block(block=[on("web2", stand("second"))], always=[mark("inner")]),
                    ],
                    rescue=[mark("no")],
                    always=[mark("outer")],
                )
            ],
            ["inner-web2", "outer-web1", "outer-web2"],
            hosts=BOTH,
            stands=(("first", "web1"), ("second", "web2")),
            recap=BOTH_RAN,
            keywords={"strategy": strategy},
        )
        for strategy in ("free", "ansible.builtin.free", "host_pinned")
    ),
    Row(
        "any_errors_fatal",
        [block(block=[on("web1", stand())], rescue=[mark("no")], always=[mark("always")])],
        ["always-web1", "always-web2"],
        hosts=BOTH,
        recap=BOTH_RAN,
        keywords={"any_errors_fatal": True},
    ),
    Row(
        "any_errors_fatal, and a host in no block",
        [
            block(
                block=[on("web1", stand())],
                always=[mark("always")],
                when="inventory_hostname == 'web1'",
            )
        ],
        ["always-web1"],
        hosts=BOTH,
        recap=BOTH_RAN,
        keywords={"any_errors_fatal": True, "max_fail_percentage": 0},
    ),
    Row(
        "max_fail_percentage",
        [block(block=[on("web1", stand())], always=[mark("always")])],
        ["always-web1", "always-web2"],
        hosts=BOTH,
        recap=BOTH_RAN,
        keywords={"max_fail_percentage": 0},
    ),
    Row(
        "serial, no further batch",
        [in_block(mark("always"))],
        ["always-web1"],
        hosts=BOTH,
        keywords={"serial": 1},
    ),
    Row(
        "run_once",
        [block(block=[stand(run_once=True)], rescue=[mark("no")], always=[mark("always")])],
        ["always-web1", "always-web2"],
        hosts=BOTH,
        recap=BOTH_RAN,
    ),
    Row(
        "run_once in always",
        [block(block=[on("web2", stand())], always=[mark("once", run_once=True), mark("always")])],
        ["once-web1", "always-web1", "always-web2"],
        hosts=BOTH,
        stands=(("first", "web2"),),
        recap=BOTH_RAN,
    ),
    Row(
        "include_tasks within a block",
        [block(block=[{"ansible.builtin.include_tasks": "more.yml"}], always=[mark("outer")])],
        ["inner-web1", "outer-web1"],
        files={
            "more.yml": json.dumps(
                [block(block=[stand(), mark("no")], always=[mark("inner")]), mark("no")]
            )
        },
    ),
    Row(
        "include_tasks within always",
        [in_block({"ansible.builtin.include_tasks": "more.yml"}, mark("last"))],
        ["inner-web1", "last-web1"],
        files={"more.yml": json.dumps([mark("inner")])},
    ),
    Row(
        "roles within a block and within always",
        [
            block(
                block=[{"ansible.builtin.include_role": {"name": "standing"}}],
                always=[{"ansible.builtin.import_role": {"name": "clearing"}}],
            )
        ],
        ["inner-web1", "clearing-web1"],
        files={
            "roles/standing/tasks/main.yml": json.dumps(
                [block(block=[stand(), mark("no")], always=[mark("inner")])]
            ),
            "roles/clearing/tasks/main.yml": json.dumps([mark("clearing")]),
        },
    ),
    Row(
        "delegate_to",
        [block(block=[stand(delegate_to="web2")], always=[mark("always", delegate_to="web2")])],
        ["always-web1"],
    ),
    Row(
        "delegate_to localhost",
        [block(block=[stand(delegate_to=HERE)], always=[mark("always")])],
        ["always-web1"],
    ),
    Row(
        "in the second play",
        [block(block=[mark("first")], always=[mark("always")])],
        ["first-web1", "always-web1", "after-web1", "second-web1"],
        further_plays=(
            {
                "name": "The second play",
                "hosts": "targets",
                "gather_facts": False,
                "tasks": [in_block(mark("second")), mark("no")],
            },
        ),
    ),
    Row(
        "no further play",
        [in_block(mark("always"))],
        ["always-web1"],
        further_plays=({"hosts": "targets", "gather_facts": False, "tasks": [mark("no")]},),
    ),
    Row(
        "a loop, which stops",
        [block(block=[stand("{{ item }}", loop=["first", "second"])], always=[mark("always")])],
        ["always-web1"],
    ),
    Row(
        "until and retries, which stop",
        [block(block=[stand(until=False, retries=5, delay=0)], always=[mark("always")])],
        ["always-web1"],
    ),
    Row(
        "async with poll",
        [block(block=[stand(**{"async": 600, "poll": 1})], always=[mark("always")])],
        ["always-web1"],
    ),
    Row(
        "a task whose failure does not count",
        [block(block=[stand(ignore_errors=True, failed_when=False)], always=[mark("always")])],
        ["always-web1"],
    ),
    Row(
        "notified handlers, force_handlers",
        [
            block(
                block=[mark("first", notify="Leave a trace, handler"), stand()],
                always=[mark("always", notify="Leave a trace, handler")],
            )
        ],
        ["first-web1", "always-web1"],
        keywords={
            "handlers": [{**mark("no"), "name": "Leave a trace, handler"}],
            "force_handlers": True,
        },
    ),
    Row(
        "flush_handlers in always, of what always has notified",
        [
            block(
                block=[mark("first", notify="Leave a trace, one"), stand()],
                always=[
                    mark("always", notify="Leave a trace, two"),
                    {"ansible.builtin.meta": "flush_handlers"},
                ],
            )
        ],
        ["first-web1", "always-web1", "two-web1"],
        keywords={
            "handlers": [
                {**mark("no"), "name": "Leave a trace, one"},
                {**mark("two"), "name": "Leave a trace, two"},
            ]
        },
    ),
    Row(
        "until, async, meta, a rescue and privileges in always",
        [
            in_block(
                mark("until", register="done", until="done.attempts > 1", retries=3, delay=0),
                mark("async", **{"async": 60, "poll": 1}),
                {"ansible.builtin.meta": "noop"},
                block(block=[fail()], rescue=[mark("rescued")], always=[mark("deeper")]),
                mark("last"),
            )
        ],
        ["until-web1", "async-web1", "rescued-web1", "deeper-web1", "last-web1"],
    ),
    Row(
        "a task of always fails, and the outer section runs",
        [
            block(
                block=[block(block=[stand()], always=[mark("inner"), fail(), mark("no")])],
                rescue=[mark("no")],
                always=[mark("outer")],
            )
        ],
        ["inner-web1", "outer-web1"],
        recap={"web1": "always FAILED: a task of them failed"},
    ),
    Row(
        "with pipelining",
        [in_block(mark("always"))],
        ["always-web1"],
        variables={"ansible_pipelining": True},
    ),
    Row(
        "more hosts than forks, and a block that one host has not begun",
        [block(block=[stand()], always=[mark("always")])],
        ["always-web1"],
        hosts=BOTH,
        arguments=("--forks=1",),
    ),
    Row(
        "more hosts than forks, and a block that both have begun",
        [block(block=[mark("first"), stand()], always=[mark("always")])],
        ["first-web1", "first-web2", "always-web1", "always-web2"],
        hosts=BOTH,
        arguments=("--forks=1",),
        recap=BOTH_RAN,
    ),
    Row(
        "more hosts than forks, and an always section that one host has not begun",
        [block(block=[mark("first")], always=[on("web1", stand()), mark("always")])],
        ["first-web1", "first-web2", "always-web2"],
        hosts=BOTH,
        arguments=("--forks=1",),
        recap={"web1": ABANDONED, "web2": "always ran"},
    ),
    Row(
        "any_errors_fatal, and a task of always fails on one host",
        [
            block(
                block=[on("web1", stand())],
                always=[on("web2", fail()), mark("always")],
            )
        ],
        ["always-web1"],
        hosts=BOTH,
        recap={"web1": "always ran", "web2": "always FAILED: a task of them failed"},
        keywords={"any_errors_fatal": True, "max_fail_percentage": 0},
    ),
)


def stands(run: Run, lab: Lab, name: str, host: str, where: str = "") -> bool:
    """Whether the task stands, on its own host or on the one that it is delegated to."""
    roots = [*(one.root for one in lab), Path("/")]
    return any((root / f"tmp/stands-{run.row}-{host}-{name}").exists() for root in roots)


@contextmanager
def standing(lab: Lab, row: Row, **how: Any) -> Iterator[Run]:
    with started(lab, row.play(**how)) as run:
        until(
            lambda: (
                all(stands(run, lab, *one) for one in row.stands) or run.process.poll() is not None
            ),
            40,
            lambda: f"not all tasks stand\n{run.story}",
        )
        assert run.process.poll() is None, run.story
        yield run


def marks(run: Run, lab: Lab) -> list[str]:
    return [name.removeprefix(f"trace-{run.row}-") for name in traces(run, lab)]


def recap_of(run: Run, host: str) -> str:
    """Return what the recap has about the always sections of a host."""
    return "; ".join(re.findall(rf"^{host} +: (always [^\r\n]*)\r?$", run.errors, re.MULTILINE))


def assert_ended(run: Run, lab: Lab, row: Row, status: int | None = INT.status) -> None:
    """Assert that what had to run after the interruption ran, and nothing else.

    The run has ended, and nothing of it is left anywhere.
    """
    assert run.wait(60) == status, run.story
    assert marks(run, lab) == sorted(row.ran), run.story
    for host in row.hosts:
        assert re.fullmatch(row.recap.get(host, ""), recap_of(run, host)), run.story
    assert_nothing_is_left(run, lab)


#: These are always run. Unit tests have the others against core's own iterator: they are run with
#: --every-row.
USUAL = {
    "in a block",
    "nested blocks, from the innermost out",
    "in rescue",
    "in always, which is abandoned",
    "in a block within always",
    "in a handler that is flushed within a block",
    "in fact gathering within a block",
    "two hosts, one of which waits for the other",
    "any_errors_fatal",
    "serial, no further batch",
    "in the second play",
    "async with poll",
    "notified handlers, force_handlers",
    "a task of always fails, and the outer section runs",
    "more hosts than forks, and a block that one host has not begun",
    "more hosts than forks, and an always section that one host has not begun",
}
assert {row.name for row in ROWS} >= USUAL


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(
            row,
            id=row.name,
            marks=[
                covers("Always sections", row.name, "interrupt"),
                *([] if row.name in USUAL else [rest]),
            ],
        )
        for row in ROWS
    ],
)
def test_the_sections_run_and_nothing_else(lab: Lab, row: Row) -> None:
    with standing(lab, row) as run:
        INT.fire(run, lab)
        assert_ended(run, lab, row)
        assert "PLAY RECAP" not in run.output, run.story
        assert "rescued=" not in run.output, run.story


def test_sections_run_in_the_order_of_the_playbook_and_after_the_kill(lab: Lab) -> None:
    row = Row("", [NESTED], ["inner-web1", "outer-web1"])
    with standing(lab, row) as run:
        INT.fire(run, lab)
        assert_ended(run, lab, row)
        headings = re.findall(r"^TASK \[(.*)\]", run.output, re.MULTILINE)
        assert headings == [
            "Stand, first",
            "Leave a trace, inner-web1",
            "Leave a trace, outer-web1",
        ], run.story
        assert "interrupted" in run.output, run.story
        assert "User interrupted execution" in run.errors, run.story
        assert "TREEKILL RECAP [SIGINT]" in run.errors, run.story


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if row.name in ("in a block", "in rescue", "run_once in always")],
    ids=lambda row: row.name,
)
def test_without_the_option_no_section_runs(lab: Lab, row: Row) -> None:
    """The control."""
    with standing(lab, row, on=False) as run:
        INT.fire(run, lab)
        assert_ended(run, lab, replace(row, ran=[], recap={}))


@pytest.mark.parametrize("trigger", [TERM, HUP, CTRL_C], ids=lambda trigger: trigger.name)
def test_each_signal_ends_the_run_as_it_does_without_the_option(lab: Lab, trigger: Trigger) -> None:
    row = ROWS[0]
    with standing(lab, row, terminal=trigger.terminal) as run:
        trigger.fire(run, lab)
        assert_ended(run, lab, row, trigger.status)


def test_the_sections_run_when_the_terminal_is_lost(lab: Lab) -> None:
    row = ROWS[0]
    with standing(lab, row, terminal=True) as run:
        assert run.terminal is not None
        run.terminal.hang_up()
        tasks.wait_until_nothing_is_left(run)
        assert marks(run, lab) == sorted(row.ran), run.story


TWICE = Row(
    "twice",
    [
        block(
            block=[in_block(mark("began"), stand("second"), mark("no"))],
            always=[mark("no")],
        )
    ],
    ["began-web1"],
    recap={"web1": "always did not run to the end: the run was interrupted again"},
)


def wait_until_second_stands(run: Run, lab: Lab) -> None:
    until(lambda: stands(run, lab, "second", "web1"), 40, lambda: f"no second task\n{run.story}")


def test_a_second_signal_ends_the_sections(lab: Lab) -> None:
    with standing(lab, TWICE) as run:
        INT.fire(run, lab)
        wait_until_second_stands(run, lab)
        INT.fire(run, lab)
        assert_ended(run, lab, TWICE)
        assert "TASK [Stand, second] on web1" in run.errors, run.story


def test_a_second_ctrl_c_in_a_terminal_ends_the_sections(lab: Lab) -> None:
    with standing(lab, TWICE, terminal=True) as run:
        run.press_ctrl_c()
        wait_until_second_stands(run, lab)
        run.press_ctrl_c()
        assert_ended(run, lab, TWICE)


def test_a_second_signal_during_the_kill_leaves_the_sections_out(lab: Lab) -> None:
    deaf = {**stand(), "ansible.builtin.shell": f"trap '' TERM; {STAND % 'first'}"}
    row = Row(
        "",
        [block(block=[deaf], always=[mark("no")])],
        [],
        recap={"web1": "always did not run: the run was interrupted again"},
        options={"kill_timeout": 300},
    )
    with standing(lab, row) as run:
        INT.fire(run, lab)
        announced = time.monotonic()
        until(
            lambda: (
                "Press Ctrl-C again to end them too" in run.errors
                and time.monotonic() > announced + ECHO_SECONDS
            ),
            20,
            lambda: f"not announced\n{run.story}",
        )
        INT.fire(run, lab)
        assert_ended(run, lab, row)


def test_when_the_main_process_is_killed_its_sections_are_ended(lab: Lab) -> None:
    with standing(lab, TWICE) as run:
        INT.fire(run, lab)
        wait_until_second_stands(run, lab)
        run.process.kill()
        assert_ended(run, lab, replace(TWICE, recap={}), KILL.status)


def test_a_host_that_is_not_confirmed_is_left_out(lab: Lab) -> None:
    row = Row(
        "",
        [block(block=[stand()], always=[mark("always")])],
        ["always-web1"],
        hosts=BOTH,
        stands=(("first", "web1"), ("first", "web2")),
        options={"kill_retry_for": 1},
        variables={"ansible_ssh_timeout": 2},
        recap={
            "web1": "always ran",
            "web2": r"always did not run: the end of its task is not confirmed \(.*\)",
        },
    )
    with standing(lab, row) as run:
        lab["web2"].cut()
        try:
            INT.fire(run, lab)
            assert run.wait(60) == INT.status, run.story
        finally:
            lab["web2"].heal()
        assert_ended(run, lab, row)


def test_a_host_whose_task_is_not_guarded_is_left_out(lab: Lab) -> None:
    row = Row(
        "",
        [block(block=[stand(vars={"treekill_track": "none"})], always=[mark("no")])],
        [],
        recap={"web1": r"always did not run: its task is not guarded \(.*\)"},
    )
    with standing(lab, row) as run:
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        # What is not guarded lives on.
        lab["web1"].reset()
        assert re.fullmatch(row.recap["web1"], recap_of(run, "web1")), run.story
        assert not marks(run, lab), run.story


def test_a_strategy_that_is_not_supported_is_named(lab: Lab) -> None:
    row = Row(
        "",
        [in_block(mark("no"))],
        [],
        keywords={"strategy": "debug"},
        recap={"web1": "always did not run: the strategy debug is not supported"},
    )
    with standing(lab, row) as run:
        assert "run_always has no effect with the strategy debug" in tasks.said(run), run.story
        INT.fire(run, lab)
        assert_ended(run, lab, row)


def test_a_pause_is_not_interrupted(lab: Lab) -> None:
    """Core reads the answer in a thread of the main process, and takes no result meanwhile."""
    row = Row(
        "",
        [
            block(
                block=[{"name": "Ask", "ansible.builtin.pause": {"prompt": "Go on?"}}],
                always=[mark("no")],
            )
        ],
        [],
        stands=(),
        recap={"web1": "always did not run: a pause was waiting for its end"},
    )
    with started(lab, row.play(terminal=True)) as run:
        until(lambda: "Go on?" in run.output, 40, lambda: f"no question\n{run.story}")
        main = next(
            one.id
            for one in controller.processes(run.row)
            if one.ppid == run.process.pid and one.is_ansible
        )
        main.kill(signal.SIGTERM)
        # Core ends when the question has its answer.
        assert run.terminal is not None
        run.terminal.write(b"\r")
        assert run.wait(40) == 128 + signal.SIGTERM, run.story
        assert re.fullmatch(row.recap["web1"], recap_of(run, "web1")), run.story
        assert not marks(run, lab), run.story


#: Interrupts its own main process at an event of one task.
SIGNALLING = """
import os, signal
from ansible.plugins.callback import CallbackBase
class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "signalling"
    def EVENT(self, *args, **more):
        named = [getattr(one, "task", None) or getattr(one, "_task", None) or one for one in args]
        if any("MARK" in one.get_name() for one in named if hasattr(one, "get_name")):
            os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.parametrize(
    ("event", "task"),
    [
        ("v2_playbook_on_task_start", "next-web1"),
        ("v2_runner_on_start", "next-web1"),
        ("v2_runner_on_ok", "first-web1"),
    ],
)
def test_a_signal_between_two_tasks(lab: Lab, event: str, task: str) -> None:
    row = Row(
        "",
        [block(block=[mark("first"), mark("next")], rescue=[mark("no")], always=[mark("always")])],
        ["first-web1", "always-web1"],
        stands=(),
        files={
            "callback_plugins/signalling.py": SIGNALLING.replace("EVENT", event).replace(
                "MARK", task
            )
        },
    )
    with started(lab, row.play()) as run:
        assert_ended(run, lab, row)


def test_a_signal_right_before_the_first_task_of_a_section(lab: Lab) -> None:
    """Core has taken the task for the host, but nothing of the section has begun."""
    event = SIGNALLING.replace("EVENT", "v2_playbook_on_task_start").replace("MARK", "always-")
    # Not again at the start of the same task after the interruption.
    once = event.replace("if any(", "if not hasattr(self, 'sent') and any(").replace(
        "os.kill(", "self.sent = os.kill("
    )
    row = Row(
        "",
        [block(block=[mark("first")], always=[mark("always"), mark("last")])],
        ["first-web1", "always-web1", "last-web1"],
        stands=(),
        files={"callback_plugins/signalling.py": once},
    )
    with started(lab, row.play()) as run:
        assert_ended(run, lab, row)


def test_the_report_has_what_became_of_the_sections(lab: Lab) -> None:
    row = replace(ROWS[0], options={"report_path": "report.json"})
    with standing(lab, row) as run:
        INT.fire(run, lab)
        assert_ended(run, lab, row)
        report = json.loads((run.directory / "report.json").read_text())
        assert report["always"] == [{"host": "web1", "state": "ran", "reason": ""}]
        assert report["complete"] is True
        assert report["cause"] == "SIGINT"
        assert [tree["outcome"] for tree in report["trees"]] == ["confirmed"]


def test_a_run_without_an_interruption_is_as_without_the_option(lab: Lab) -> None:
    row = Row(
        "",
        [
            block(block=[mark("first"), fail()], rescue=[mark("rescue")], always=[mark("always")]),
            mark("second", notify="Leave a trace, handler"),
        ],
        [],
        keywords={"handlers": [{**mark("handler"), "name": "Leave a trace, handler"}]},
    )
    outputs = []
    for on_ in (True, False):
        with started(lab, row.play(on=on_)) as run:
            assert run.wait(60) == 0, run.story
            lines = re.findall(
                r"^(?:PLAY|TASK|RUNNING|web1) .*|^\w+: \[web1\]", run.output, re.MULTILINE
            )
            outputs.append((lines, len(marks(run, lab))))
    assert outputs[0] == outputs[1]
    assert outputs[0][1] == 6, outputs
