# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that asks its user something, and is ended instead of answered.

`pause` asks, or the debugger of tasks. Nothing runs on a host for the question itself. What another
host does meanwhile is ended. Terminal and exit status are as without the collection.
"""

from __future__ import annotations

import os
import signal
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.coverage import covers
from tests.support.hosts import Lab
from tests.support.run import controller, tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees.table import rest

from .feature import OPTIONS, Feature, assert_rescued, grown, run_out

PAUSE: dict[str, Any] = {"name": "Ask", "ansible.builtin.pause": {"prompt": "Go on?"}}

#: On one host it fails, and the debugger asks. The other one grows its tree meanwhile.
FAIL_OR_GROW: dict[str, Any] = {
    **tasks.grow(),
    "ansible.builtin.shell": (
        "{{ lookup('file', 'tree.sh') if inventory_hostname == 'web2' else 'exit 1' }}"
    ),
}


@dataclass(frozen=True)
class End:
    """An action at a prompt."""

    name: str
    do: Callable[[Run], None]
    covered: str  #: the table's name for it


def type_keys(run: Run, keys: bytes) -> None:
    assert run.terminal is not None
    run.terminal.write(keys)


def main_of(run: Run) -> int:
    """Return the main process: below the shell of the terminal."""
    found = [
        one
        for one in controller.processes(run.row)
        if one.ppid == run.process.pid and one.is_ansible
    ]
    assert len(found) == 1, [*map(str, found)]
    return found[0].id.pid


def kill(run: Run) -> None:
    os.kill(main_of(run), signal.SIGKILL)


@dataclass(frozen=True)
class Left:
    """Ending of a run."""

    status: int | None
    terminal: list[Any]  #: its settings, as tcgetattr has them


@contextmanager
def asked(lab: Lab, steps: list[dict[str, Any]], question: str, **more: Any) -> Iterator[Run]:
    """The run of these tasks, when it asks."""
    with started(lab, Play(steps, options=OPTIONS, terminal=True, **more)) as run:
        until(
            lambda: question in run.output or run.process.poll() is not None,
            40,
            lambda: f"no question\n{run.story}",
        )
        yield run


def ended(run: Run, end: End) -> Left:
    """Do it, and wait for the end."""
    assert run.terminal is not None
    end.do(run)
    status = run.wait(30)
    assert status is not None, f"it does not end\n{run.story}"
    return Left(status, termios.tcgetattr(run.terminal.line))


# At the prompt of `pause` Ctrl-C is a key, and no signal: core asks once more what to do.


def abort(run: Run) -> None:
    """Abort, as core asks for it. Before core reads keys, Ctrl-C is a signal that it drops."""
    assert run.terminal is not None
    line = run.terminal.line
    until(
        lambda: not termios.tcgetattr(line)[3] & termios.ICANON,
        20,
        lambda: f"it reads no keys\n{run.story}",
    )
    type_keys(run, b"\x03")
    until(lambda: "to abort" in run.output, 20, lambda: f"not asked\n{run.story}")
    type_keys(run, b"a")


def time_out(run: Run) -> None:
    """Send the worker's alarm, and then the answer that core no longer waits for."""
    main = main_of(run)
    # The guardian is older.
    worker = max(
        (one.id for one in controller.processes(run.row) if one.is_ansible and one.ppid == main),
        key=lambda process: process.start,
    )
    worker.kill(signal.SIGALRM)
    type_keys(run, b"\r")


def interrupt(run: Run) -> None:
    """Interrupt it, and answer.

    Core itself does not end before its question is answered: the thread that reads the terminal
    holds the lock of all output.
    """
    os.kill(main_of(run), signal.SIGINT)
    type_keys(run, b"\r")


def usually(ends: Sequence[End], subject: str) -> list[Any]:
    """Return parameters of a test: the first of them, and with --every-row the others."""
    return [
        pytest.param(
            end,
            id=end.name,
            marks=[
                covers("Play features", subject, end.covered),
                *([] if end is ends[0] else [rest]),
            ],
        )
        for end in ends
    ]


PAUSE_ENDS = [
    End("Ctrl-C and A", abort, "interrupt"),
    End("INT to main", interrupt, "interrupt"),
    End("KILL to main", kill, "KILL of main"),
    End("timeout", time_out, "timeout"),
]


@pytest.mark.parametrize("end", usually(PAUSE_ENDS, "pause"))
def test_a_pause_ends_as_it_does_without_the_collection(lab: Lab, end: End) -> None:
    """Its exit status and the terminal are so. No process is left here or there."""
    play = [tasks.trace("before"), {**PAUSE, "timeout": 3600}, tasks.trace("after")]
    with asked(lab, play, "Go on?", collection=False) as run:
        without = ended(run, end)
    with asked(lab, play, "Go on?") as run:
        assert ended(run, end) == without, run.story
        tasks.wait_until_nothing_is_left(run)
        tasks.wait_until_gone(run, lab)
        assert not tasks.has_left_trace(run, lab["web1"], "after"), run.story


# At the prompt of the debugger it is a signal.

DEBUG_ENDS = [
    End("Ctrl-C", lambda run: type_keys(run, b"\x03"), "interrupt"),
    End("INT to main", lambda run: os.kill(main_of(run), signal.SIGINT), "interrupt"),
    End("KILL to main", kill, "KILL of main"),
]

AT_PROMPT = "debug strategy, at its prompt"

DEBUGGER = {"hosts": ("web1", "web2"), "keywords": {"strategy": "debug"}}


@pytest.mark.parametrize("end", usually(DEBUG_ENDS, AT_PROMPT))
def test_what_another_host_does_while_the_debugger_asks_is_ended(lab: Lab, end: End) -> None:
    """Status and terminal are those of a run without the collection."""
    play = [FAIL_OR_GROW, tasks.trace("after")]
    with asked(lab, play, "(debug)>", collection=False, **DEBUGGER) as run:
        tasks.wait_for_tree(run, [lab["web2"]])
        without = ended(run, end)
        assert end.covered == "interrupt" or tasks.alive(run, lab["web2"]), run.story
    lab["web2"].reset()
    with asked(lab, play, "(debug)>", **DEBUGGER) as run:
        tasks.wait_for_tree(run, [lab["web2"]])
        assert ended(run, end) == without, run.story
        tasks.wait_until_gone(run, lab)
        tasks.wait_until_nothing_is_left(run)
        assert not [
            path.name for host in lab for path in (host.root / "tmp").glob(f"trace-{run.row}-*")
        ], run.story


@covers("Play features", AT_PROMPT, "timeout")
def test_the_debugger_asks_about_a_timeout_when_the_tree_is_gone(lab: Lab) -> None:
    """The run goes on if the user wants it to."""
    feature = Feature("debugger", [tasks.grow()], keywords={"strategy": "debug"})
    with grown(lab, feature, timeout=True, terminal=True) as run:
        run_out(run, lab, feature, main_of(run))
        until(lambda: "(debug)>" in run.output, 40, lambda: f"no question\n{run.story}")
        assert not tasks.alive(run, *lab, match="tk-"), run.story
        type_keys(run, b"c\r")
        assert_rescued(run, lab, feature)
