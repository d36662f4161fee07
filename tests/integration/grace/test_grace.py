# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A clean-up of two seconds is finished.

That holds for each program, for each program above it, and for each interruption.
"""

from __future__ import annotations

import dataclasses
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.hosts import Host, Lab
from tests.support.labs import become_hosts
from tests.support.run import controller, tasks
from tests.support.run.play import BECOME, PARAMIKO, PLUGINS
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees.table import rest
from tests.support.trees.triggers import (
    CTRL_C,
    CUT_NETWORK,
    INT,
    KILL,
    LOST_CLIENT,
    LOST_CONTROLLER,
    TIMEOUT,
    Trigger,
)

from . import jobs

#: Names of builtin actions and of ours, and the connection that the play names.
OWN = "treekill.remote."


@dataclass(frozen=True)
class Row:
    """One setting."""

    action: str = "command"
    pipelining: bool = False
    become: str = "no"
    use_pty: bool = True
    kind: str = "plain"
    trigger: Trigger = INT
    signal: str = "TERM"
    connection: str = ""  #: the one that the play names, instead of the usual one

    @property
    def name(self) -> str:
        """The row in words."""
        told = [
            str(value)
            for value, usual in ((self.become, "no"), (self.kind, "plain"), (self.signal, "TERM"))
            if value != usual
        ]
        pty = [] if self.become == "no" else ["use_pty" if self.use_pty else "no use_pty"]
        return ", ".join(
            [
                self.action,
                "pipelining" if self.pipelining else "tty",
                *told,
                *pty,
                *([] if self.trigger is INT else [self.trigger.name]),
                *([self.connection] if self.connection else []),
            ]
        )

    @property
    def host(self) -> str:
        """The name of the host that has sudo so."""
        return "web1" if self.use_pty else "web2"

    def play(self, lab: Lab) -> Play:
        """Return the run of this row."""
        becoming = BECOME[self.become]
        action = self.action if self.action.startswith(OWN) else f"ansible.builtin.{self.action}"
        line = jobs.command(self.kind, self.signal)
        # A script of the controller's, which becomes the program.
        line = f"carried {line}" if self.action.endswith("script") else line
        task: dict[str, Any] = {
            "name": "Work",
            action: {"cmd": line} if self.action.startswith(OWN) else line,
        }
        if self.trigger is TIMEOUT:
            task = {
                "name": "Rescued",
                "block": [{**task, "timeout": 3600}],
                "rescue": [{"name": "Rescue", "ansible.builtin.debug": {}}],
            }
        own = self.action.startswith(OWN)
        connection = self.connection or (f"{OWN}ssh" if own else "")
        options = {
            "kill_timeout": 10,
            "kill_signal": self.signal,
            "kill_children_signal": self.signal,
            **({"track": "plugins"} if own else {}),
        }
        return Play(
            [task],
            hosts=(self.host,),
            keywords={
                **(becoming.keywords or {}),
                **({"connection": connection} if connection else {}),
            },
            variables={"ansible_user": becoming.login, **(becoming.variables or {})},
            options=options,
            sections={
                "defaults": {"become_plugins": PLUGINS},
                "ssh_connection": {"pipelining": self.pipelining},
            },
            files={
                "carried": '#!/bin/sh\nexec "$@"\n',
                ".ssh/known_hosts": lab.known_hosts.read_text(),  # paramiko looks for it there
            },
            terminal=self.trigger.terminal,
            before=self.trigger.before,
        )


ALL = [
    *(
        Row(action, pipelining)
        for action in ("command", "shell", "script", "raw")
        for pipelining in (False, True)
    ),
    *(
        Row(f"{OWN}{action}", pipelining)
        for action in ("command", "shell", "script", "raw")
        for pipelining in (False, True)
    ),
    *(
        Row(action, pipelining, become, use_pty)
        for action in ("command", "script", "raw")
        for pipelining in (False, True)
        for become in (
            "root, no password",
            "root, by password",
            "another user",
            "root, by su",
            "root, by doas",
        )
        for use_pty in (True, False)
        if use_pty or "by su" not in become and "doas" not in become
        # Programs that become an unprivileged user can't hold a shell below sudo: see
        # docs/limits.md.
        if (action, become) != ("raw", "another user")
    ),
    *(
        Row("command", pipelining, kind=kind)
        for pipelining in (False, True)
        for kind in ("megabyte", "once", "wrapper", "in_background")
    ),
    *(
        Row("raw", pipelining, kind=kind)
        for pipelining in (False, True)
        for kind in ("megabyte", "once", "wrapper", "in_background")
    ),
    *(
        Row(action, pipelining, become, trigger=trigger)
        for action in ("command", "shell")
        for pipelining in (False, True)
        for become in ("no", "root, no password")
        for trigger in (CTRL_C, KILL, LOST_CLIENT, LOST_CONTROLLER, CUT_NETWORK, TIMEOUT)
    ),
    # Without pipelining there is a terminal, which a lost connection hangs up. That ends a command
    # without a supervisor, as those of core's script and raw: see docs/limits.md.
    *(
        Row(action, False, become, use_pty, trigger=trigger)
        for action in ("command", f"{OWN}script", f"{OWN}raw")
        for become in ("no", "root, no password", "another user", "root, by su", "root, by doas")
        for use_pty in (True, False)
        if use_pty or become in ("root, no password", "another user")
        for trigger in (LOST_CLIENT, LOST_CONTROLLER)
    ),
    *(
        Row(action, pipelining, signal=signal, kind=kind)
        for action in ("command", "raw")
        for pipelining in (False, True)
        for signal in ("HUP", "INT")
        for kind in ("plain", "once")
    ),
    *(
        Row(action, False, become, trigger=trigger, connection=PARAMIKO)
        for action in ("command", "shell")
        for become in ("no", "root, no password")
        for trigger in (INT, LOST_CONTROLLER)
    ),
]
#: Each of them once.
ROWS = [*dict.fromkeys(ALL)]


#: One of each kind is always run; the others with --every-row.
USUAL = (
    Row(),
    Row("script", pipelining=True),
    Row("raw"),
    Row(f"{OWN}shell", pipelining=True),
    Row("command", False, "root, no password"),
    Row("raw", False, "root, by password", use_pty=False),
    Row("command", True, "root, by su"),
    Row("script", False, "another user", use_pty=False),
    Row("command", True, kind="megabyte"),
    Row("command", False, kind="wrapper"),
    Row("raw", False, kind="in_background"),
    Row("command", False, signal="INT", kind="once"),
    Row("command", True, trigger=LOST_CONTROLLER),
    Row("shell", True, trigger=CUT_NETWORK),
    Row("shell", True, "root, no password", trigger=LOST_CLIENT),
    Row("command", False, trigger=TIMEOUT),
    Row("shell", False, trigger=LOST_CONTROLLER),
    Row("command", False, trigger=LOST_CONTROLLER, connection=PARAMIKO),
    Row("command", False, "root, no password", trigger=LOST_CLIENT),
    Row(f"{OWN}raw", False, "root, no password", trigger=LOST_CONTROLLER),
)
assert {*USUAL} <= {*ROWS}

#: What the matrix does to its first host, done to the row's.
FIRE: dict[str, Callable[[Run, Host], None]] = {
    TIMEOUT.name: lambda run, host: controller.worker_of(
        run.row, run.process.pid, host.address
    ).kill(signal.SIGALRM),
    CUT_NETWORK.name: lambda run, host: host.cut(),
    LOST_CLIENT.name: lambda run, host: controller.client_of(run.row, host.address).kill(),
}


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.name, marks=[] if row in USUAL else [rest]) for row in ROWS]
)
def test_a_clean_up_is_finished(grace_lab: Lab, row: Row) -> None:
    """It leaves its file, and no process of the tree lives on."""
    host = grace_lab[row.host]
    if "doas" in row.become:
        become_hosts.skip_without_doas(grace_lab)
    try:
        with started(grace_lab, row.play(grace_lab)) as run:
            until(
                lambda: jobs.has_begun(run, host, row.kind),
                40,
                lambda: f"it has not begun\n{run.story}",
            )
            FIRE.get(row.trigger.name, lambda run, dummy: row.trigger.fire(run, grace_lab))(
                run, host
            )
            until(
                lambda: not tasks.alive(run, host),
                40,
                lambda: f"alive: {tasks.alive(run, host)}\n{run.story}",
            )
            assert not jobs.unfinished(run, host, row.kind), run.story
            host.heal()
            run.wait(90)
            if row.trigger in (INT, CTRL_C):
                assert re.search(
                    rf"^{row.host} +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE
                ), run.story
            if row.trigger.guardian:
                tasks.wait_until_nothing_is_left(run)
    finally:
        host.heal()


def test_without_a_supervisor_the_hang_up_of_its_terminal_cuts_a_clean_up_off(
    grace_lab: Lab,
) -> None:
    """The control."""
    row = Row(trigger=LOST_CLIENT)
    host, play = grace_lab[row.host], row.play(grace_lab)
    with started(
        grace_lab, dataclasses.replace(play, options={**play.options, "supervise": False})
    ) as run:
        until(
            lambda: jobs.has_begun(run, host, row.kind),
            40,
            lambda: f"it has not begun\n{run.story}",
        )
        controller.client_of(run.row, host.address).kill()
        run.wait(90)
        tasks.wait_until_gone(run, [host])
        assert jobs.unfinished(run, host, row.kind), run.story


#: What the recap may say of each process of `jobs.ENDS`. Only its parent could read more.
ENDINGS = {
    "exits": "ended on {signal} in",
    "fails": "ended on {signal} in",
    "dies": "ended on {signal} in",
    "breaks": "ended on {signal} in",
    "crashes": "ended on {signal} in",
    "ignores": "KILL after",
}


@pytest.mark.parametrize("name", ["TERM", "HUP"])
def test_the_recap_says_what_is_known_of_each_end(grace_lab: Lab, name: str) -> None:
    """It names the last signal. It claims no exit, which no process but the parent can know."""
    lines = [f"/tmp/ends.sh {does} {name} {{{{ row }}}} &" for does in ENDINGS]
    play = Play(
        [{"name": "Work", "ansible.builtin.shell": "\n".join([*lines, "wait"])}],
        options={"kill_timeout": 2, "kill_signal": name, "kill_children_signal": name},
    )
    host = grace_lab["web1"]
    with started(grace_lab, play) as run:
        until(
            lambda: len([*(host.root / "tmp").glob(f"begun-{run.row}-*")]) == len(ENDINGS),
            40,
            lambda: f"it has not begun\n{run.story}",
        )
        INT.fire(run, grace_lab)
        assert run.wait(60) == INT.status, run.story
        for does, words in ENDINGS.items():
            line = re.search(rf"ends\.sh {does} .*", run.errors)
            assert line, run.story
            assert words.format(signal=name) in line[0], run.story
        assert "exited" not in run.errors


@pytest.mark.parametrize(("mode", "finishes"), [("mixed", True), ("tree", False)])
def test_with_kill_mode_tree_the_child_of_a_wrapper_gets_the_signal_twice(
    grace_lab: Lab, mode: str, finishes: bool
) -> None:
    """The control: once from the wrapper, once from the kill pass."""
    row = Row(kind="wrapper")
    host, play = grace_lab[row.host], row.play(grace_lab)
    with started(
        grace_lab, dataclasses.replace(play, options={**play.options, "kill_mode": mode})
    ) as run:
        until(
            lambda: jobs.has_begun(run, host, row.kind),
            40,
            lambda: f"it has not begun\n{run.story}",
        )
        INT.fire(run, grace_lab)
        assert run.wait(60) == INT.status, run.story
        tasks.wait_until_gone(run, [host])
        assert (f"{run.row}-child" in jobs.unfinished(run, host, row.kind)) is not finishes, (
            run.story
        )
