# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`run_always` in real runs on this machine, whose workers are interrupted wherever they are.

A task may run a command, wait between two commands, or do something on the controller alone.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from ..playbook_runs import PlaybookRun, start_playbook

ON = {"run_always": True}

#: A signal that comes sooner after an equal one counts as an echo of it.
ECHO_SECONDS = 0.3

TWO = {"one": {}, "two": {}}

ABANDONED = "did not run to the end: the run was interrupted in one of them"


def writes(word: str, **keywords: Any) -> dict[str, Any]:
    """Return a task that adds a line to a file beside the playbook."""
    return {
        "name": f"Write {word}",
        "ansible.builtin.shell": f"echo {word} {{{{ inventory_hostname }}}} >> written",
        "args": {"chdir": "{{ playbook_dir }}"},
        **keywords,
    }


def block(*tasks: Any, **sections: Any) -> dict[str, Any]:
    return {"block": [*tasks], **sections}


def written(play: PlaybookRun) -> list[str]:
    file = play.directory / "written"
    return sorted(file.read_text().splitlines()) if file.exists() else []


SLEEP = {"name": "Sleep", "ansible.builtin.command": "sleep 7200"}

#: A task, and the words of a process that shows that it runs; none: its name is in the output.
TASKS: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("a command", SLEEP, ("sleep", "7200")),
    (
        "a lookup on the controller",
        {"name": "Look", "ansible.builtin.debug": {"msg": "{{ lookup('pipe', 'sleep 7201') }}"}},
        ("sleep", "7201"),
    ),
    (
        "a wait between two tries",
        {
            "name": "Try",
            "ansible.builtin.shell": "echo tried >> tried; exit 1",
            "args": {"chdir": "{{ playbook_dir }}"},
            "retries": 5,
            "delay": 7200,
            "until": False,
        },
        (),
    ),
    (
        "a wait on the controller",
        {
            "name": "Wait",
            "ansible.builtin.wait_for_connection": {"delay": 7200},
        },
        (),
    ),
    (
        "an item of a loop",
        {
            "name": "Loop",
            "ansible.builtin.command": "sleep {{ item }}",
            "loop": [7202, 7203],
            "ignore_errors": True,
        },
        ("sleep", "7202"),
    ),
]


@pytest.mark.parametrize(
    ("task", "words", "number"),
    [
        *(pytest.param(*row[1:], signal.SIGINT, id=row[0]) for row in TASKS),
        *(pytest.param(*row[1:], signal.SIGTERM, id=f"{row[0]}, TERM") for row in TASKS[:2]),
    ],
)
def test_a_task_is_interrupted_wherever_it_is(task, words, number):
    steps = [
        block(task, writes("next"), rescue=[writes("rescue")], always=[writes("always")]),
        writes("after"),
    ]
    with start_playbook(steps, options=ON) as play:
        if words:
            play.wait_for_words(*words)
        else:
            play.wait_for(lambda: f"TASK [{task['name']}]" in play.said)
            play.wait_for(lambda: len(play.pids()) > 2)
        said = play.interrupt(number)
        assert written(play) == ["always localhost"], said
        assert "localhost : always ran" in said
        assert play.process.returncode == (99 if number == signal.SIGINT else -number), said
        play_pids = play.pids
    assert not play_pids()


@pytest.mark.parametrize(
    ("strategy", "keywords"),
    [
        ("linear", {"any_errors_fatal": True, "max_fail_percentage": 0}),
        ("linear", {"force_handlers": True}),
        ("free", {}),
        ("host_pinned", {}),
    ],
)
def test_hosts_that_wait_run_their_sections(strategy, keywords):
    steps = [
        block(
            writes("first", notify="Write handler"),
            {**SLEEP, "when": "inventory_hostname == 'two'"},
            {**SLEEP, "name": "Sleep on", "when": "inventory_hostname == 'one'"},
            rescue=[writes("rescue")],
            always=[writes("always"), writes("last")],
        ),
    ]
    keywords = {**keywords, "strategy": strategy, "handlers": [writes("handler")]}
    with start_playbook(steps, options=ON, inventory=TWO, keywords=keywords) as play:
        play.wait_for_words("sleep", "7200")
        play.wait_for(lambda: len(written(play)) == 2)
        said = play.interrupt()
        expected = [f"{word} {host}" for word in ("always", "first", "last") for host in TWO]
        assert written(play) == sorted(expected), said
        for host in TWO:
            assert f"{host} : always ran" in said.replace("  ", " ")


def test_a_section_whose_first_task_waits_for_a_fork_is_run():
    """It has not begun on that host, so the interruption abandons nothing of it there."""
    steps = [
        block(
            writes("first"),
            always=[{**SLEEP, "when": "inventory_hostname == 'one'"}, writes("always")],
        )
    ]
    arguments = ["--forks=1"]
    with start_playbook(steps, options=ON, inventory=TWO, arguments=arguments) as play:
        play.wait_for_words("sleep", "7200")
        said = play.interrupt()
        assert written(play) == ["always two", "first one", "first two"], said
        words = said.replace("  ", " ")
        assert f"one : always {ABANDONED}" in words, said
        assert "two : always ran" in words, said


@pytest.mark.parametrize("outer", [True, False], ids=["in a block", "in no block"])
def test_a_section_that_is_abandoned_is_named(outer):
    """A recap that said only that the outer section ran would hide that the inner one did not."""
    inner = block(writes("first"), always=[SLEEP, writes("no")])
    steps = [block(inner, always=[writes("outer")]) if outer else inner]
    with start_playbook(steps, options=ON) as play:
        play.wait_for_words("sleep", "7200")
        said = play.interrupt()
        assert written(play) == ["first localhost", *(["outer localhost"] if outer else [])], said
        assert f"localhost : always {ABANDONED}" in said
        assert "always ran" not in said
        assert play.process.returncode == 99, said


def test_a_program_of_a_lookup_that_goes_on_holds_the_sections_back():
    program = "trap '' TERM INT; exec >&-; sleep 3; echo over >> written"
    look = {"ansible.builtin.debug": {"msg": f'{{{{ lookup("pipe", "{program}") }}}}'}}
    with start_playbook([block(look, always=[writes("always")])], options=ON) as play:
        play.wait_for_words("sleep", "3")
        said = play.interrupt()
        lines = (play.directory / "written").read_text().splitlines()
        assert lines == ["over", "always localhost"], said


def test_a_second_signal_ends_a_section():
    steps = [block(SLEEP, always=[writes("always"), {"ansible.builtin.command": "sleep 7201"}])]
    with start_playbook(steps, options=ON) as play:
        play.wait_for_words("sleep", "7200")
        play.process.send_signal(signal.SIGINT)
        play.wait_for_words("sleep", "7201")
        said = play.interrupt()
        assert written(play) == ["always localhost"], said
        assert "always did not run to the end: the run was interrupted again" in said
        assert play.process.returncode == 99, said


def test_an_echo_of_the_signal_ends_nothing():
    steps = [block(SLEEP, always=[writes("always")])]
    with start_playbook(steps, options=ON) as play:
        play.wait_for_words("sleep", "7200")
        began = time.monotonic()
        play.process.send_signal(signal.SIGINT)
        play.process.send_signal(signal.SIGINT)
        sent = time.monotonic() - began
        said = play.finished()
        assert written(play) == (["always localhost"] if sent < ECHO_SECONDS else []), said


@pytest.mark.parametrize("options", [{}, {"run_always": False}])
def test_without_the_option_nothing_runs(options):
    """The control."""
    with start_playbook([block(SLEEP, always=[writes("always")])], options=options) as play:
        play.wait_for_words("sleep", "7200")
        said = play.interrupt()
        assert not written(play), said
        assert "always" not in said


def test_a_play_without_a_section_ends_as_without_the_option():
    said = []
    for options in (ON, {}):
        with start_playbook([SLEEP], options=options) as play:
            play.wait_for_words("sleep", "7200")
            said.append(play.interrupt())
            assert play.process.returncode == 99
    assert all("FAILED" not in text and "always" not in text for text in said), said


@pytest.mark.parametrize("source", ["variable", "environment"])
def test_the_option_is_one_of_the_run(source):
    how: dict[str, Any] = (
        {"arguments": ["-e", "treekill_run_always=true"]}
        if source == "variable"
        else {"environ": {"TREEKILL_RUN_ALWAYS": "yes"}}
    )
    with start_playbook([block(SLEEP, always=[writes("always")])], **how) as play:
        play.wait_for_words("sleep", "7200")
        said = play.interrupt()
        assert written(play) == ["always localhost"], said


def test_a_value_that_is_not_allowed_is_refused():
    with start_playbook([writes("first")], options={"run_always": "perhaps"}) as play:
        said = play.finished()
        assert "run_always" in said
        assert play.process.returncode == 5, said
        assert not written(play)


def test_after_kill_runs_after_the_sections():
    last = {
        "name": "Write after_kill",
        "ansible.builtin.shell": "echo after_kill >> {{ lookup('env', 'HOME') }}/written",
    }
    steps = [block(SLEEP, always=[writes("always")])]
    files = {"after.yml": json.dumps([last])}
    with start_playbook(steps, options={**ON, "after_kill": "after.yml"}, files=files) as play:
        play.wait_for_words("sleep", "7200")
        said = play.interrupt()
        lines = (play.directory / "written").read_text().splitlines()
        assert lines == ["always localhost", "after_kill"], said


def test_a_worker_that_was_killed_ends_a_free_run():
    """Its result never comes. Core waits for it for ever with the strategy free."""
    steps = [
        block(
            {**SLEEP, "when": "inventory_hostname == 'one'"},
            {**SLEEP, "ansible.builtin.command": "sleep 7201"},
            always=[writes("always")],
        )
    ]
    keywords = {"strategy": "free"}
    with start_playbook(steps, options=ON, inventory=TWO, keywords=keywords) as play:
        sleep = play.wait_for_words("sleep", "7200")
        os.kill(worker_above(sleep, play.process.pid), signal.SIGKILL)
        said = play.interrupt()
        assert play.process.returncode == 99, said
        assert not written(play), said
        assert "always did not run" in said


@pytest.mark.parametrize("where", ["two", "{{ 'two' }}"])
def test_a_delegated_task_without_a_guard_keeps_both_hosts_from_their_sections(where):
    """A process of the task may be alive on the host that it was delegated to."""
    steps = [
        block(
            {
                **SLEEP,
                "when": "inventory_hostname == 'one'",
                "delegate_to": where,
                "vars": {"treekill_track": "none"},
            },
            always=[writes("always")],
        )
    ]
    with start_playbook(steps, options=ON, inventory=TWO) as play:
        play.wait_for_words("sleep", "7200")
        said = play.interrupt()
        assert not written(play), said
        for host in TWO:
            assert f"{host} : always did not run: its task is not guarded" in said
        # The failed result of the worker does not mean that the process is gone.
        assert "Sleep" in said.partition("TREEKILL RECAP")[2], said


@pytest.mark.parametrize("strategy", ["linear", "free"])
def test_a_meta_task_that_ends_the_play_is_no_end_of_the_sections(strategy):
    steps = [
        block(
            SLEEP,
            always=[writes("always"), {"ansible.builtin.meta": "end_host"}, writes("no")],
        )
    ]
    with start_playbook(steps, options=ON, keywords={"strategy": strategy}) as play:
        play.wait_for_words("sleep", "7200")
        said = play.interrupt()
        assert written(play) == ["always localhost"], said
        assert "always did not run to the end: a meta task has ended the play" in said


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_run_whose_guardian_is_gone_ends_as_without_the_option(number):
    with start_playbook([block(SLEEP, always=[writes("always")])], options=ON) as play:
        play.wait_for_words("sleep", "7200")
        os.kill(guardian_of(play), number)
        said = play.interrupt()
        assert not written(play), said
        assert "Traceback" not in said


def test_a_guardian_that_is_lost_before_the_trees_are_gone_ends_the_run():
    stubborn = {"ansible.builtin.shell": "trap '' TERM INT; sleep 7200 & while :; do wait; done"}
    options = {**ON, "kill_timeout": 600}
    with start_playbook([block(stubborn, always=[writes("always")])], options=options) as play:
        play.wait_for_words("sleep", "7200")
        guardian = guardian_of(play)
        play.process.send_signal(signal.SIGINT)
        play.wait_for(lambda: "What is running is ended first" in play.said)
        os.kill(guardian, signal.SIGKILL)
        said = play.finished()
        assert not written(play), said
        assert "Traceback" not in said


def test_the_first_signal_is_the_cause_of_a_run_that_a_second_one_ends():
    steps = [block(SLEEP, always=[{"ansible.builtin.command": "sleep 7201"}])]
    with start_playbook(steps, options=ON) as play:
        play.wait_for_words("sleep", "7200")
        play.process.send_signal(signal.SIGINT)
        play.wait_for_words("sleep", "7201")
        said = play.interrupt(signal.SIGTERM)
        assert play.process.returncode == 99, said
        assert "TREEKILL RECAP [SIGINT]" in said


def guardian_of(play: PlaybookRun) -> int:
    """Return the process of the run that is the main program and not below it."""
    main = play.process.pid
    words = Path(f"/proc/{main}/cmdline").read_bytes()
    return next(
        pid
        for pid in play.pids()
        if Path(f"/proc/{pid}/cmdline").read_bytes() == words and not is_below(pid, main)
    )


def is_below(pid: int, main: int) -> bool:
    while pid > 1 and pid != main:
        pid = parent_of(pid)
    return pid == main


def test_a_worker_that_gets_the_signal_too_returns_a_result():
    steps = [block(SLEEP, always=[writes("always")])]
    with start_playbook(steps, options=ON) as play:
        sleep = play.wait_for_words("sleep", "7200")
        worker = worker_above(sleep, play.process.pid)
        os.kill(worker, signal.SIGTERM)
        said = play.interrupt(signal.SIGTERM)
        assert written(play) == ["always localhost"], said
        assert play.process.returncode == -signal.SIGTERM, said


def worker_above(pid: int, main: int) -> int:
    """Return the child of the main process that is above a process."""
    while (parent := parent_of(pid)) != main:
        pid = parent
    return pid


def parent_of(pid: int) -> int:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(words[1])
