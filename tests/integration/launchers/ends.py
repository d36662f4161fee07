# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ends of runs of front ends.

They are the cancel of each front end, KILL of Ansible's own main process, and a task's timeout.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import replace

from tests.support.hosts import Lab
from tests.support.run import controller
from tests.support.run.run import Run
from tests.support.trees import triggers
from tests.support.trees.triggers import Trigger

Fire = Callable[[Run, Lab], None]

#: Where these tests run their programs, which may have a blank, or any other directory.
_BIN = rf"(?:{re.escape(os.path.dirname(sys.executable))}|\S*)"
_CORE = re.compile(rf"{_BIN}/?python\S* (-\S+ )*{_BIN}/ansible(-playbook|-console)?( |$)")

#: Seconds that a process gets to end, before a CI system kills all.
CI_PATIENCE = 10.0


def main_of(run: Run) -> controller.Local:
    """Return the main process of Ansible itself, which a front end has started or is."""
    here = {
        process.id.pid: process
        for process in controller.processes(run.row)
        if _CORE.match(process.command)
    }
    found = sorted(
        (process for process in here.values() if process.ppid not in here),
        key=lambda process: process.id.start,
    )
    # The guardian is a child of no process of the run, and younger than the main process.
    assert 1 <= len(found) <= 2, f"not one main process: {[*map(str, found)]}\n{run.story}"
    return found[0]


def front_of(run: Run, word: str) -> controller.Local:
    """Return the process of the front end whose command line has that word."""
    found = [
        process
        for process in controller.processes(run.row)
        if word in process.command and not process.command.startswith(("bash", "/bin/sh"))
    ]
    assert found, (
        f"no process with {word}: {[*map(str, controller.processes(run.row))]}\n{run.story}"
    )
    return next(
        process for process in found if process.ppid not in {other.id.pid for other in found}
    )


def to_main(number: signal.Signals) -> Fire:
    """Send a signal to the main process of Ansible."""
    return lambda run, lab: _send(main_of(run), number)


def to_front(word: str, number: signal.Signals) -> Fire:
    """Send a signal to the process of a front end."""
    return lambda run, lab: _send(front_of(run, word), number)


def _send(process: controller.Local, number: signal.Signals) -> None:
    assert process.id.alive()
    os.kill(process.id.pid, number)


def _alarm(run: Run, lab: Lab) -> None:
    main = main_of(run).id.pid
    for host in [*lab][: run.setting.hosts]:
        controller.worker_of(run.row, main, host.address).kill(signal.SIGALRM)


def _nohup(run: Run, lab: Lab) -> None:
    """Hang up, which does nothing; a test of its own shows that."""
    _send(main_of(run), signal.SIGHUP)
    _send(main_of(run), signal.SIGTERM)


def _as_ci(run: Run, lab: Lab) -> None:
    """Send TERM to the group, and KILL to it when ten seconds have passed."""
    os.killpg(run.process.pid, signal.SIGTERM)
    if run.wait(CI_PATIENCE) is None:
        os.killpg(run.process.pid, signal.SIGKILL)


def _as_github(run: Run, lab: Lab) -> None:
    """Send INT to the process that was started.

    Send TERM after 7.5 s, and KILL to what is left after 2.5 s more.
    """
    run.process.send_signal(signal.SIGINT)
    if run.wait(7.5) is None:
        run.process.send_signal(signal.SIGTERM)
        if run.wait(2.5) is None:
            for process in controller.processes(run.row):
                process.id.kill()


def _as_jenkins(run: Run, lab: Lab) -> None:
    """Send TERM to each process of the build, which its environment shows.

    Workers, ssh clients and the guardian are among them.
    """
    for process in controller.processes(run.row):
        process.id.kill(signal.SIGTERM)


def _cancel(run: Run, lab: Lab) -> None:
    (run.directory / "cancelled").touch()


INT, TERM = signal.SIGINT, signal.SIGTERM


def interrupt(
    name: str, fire: Fire, status: int | None, *, recap: bool = True, terminal: bool = False
) -> Trigger:
    """Do what a front end does on cancel."""
    return Trigger(name, fire, status, recap=recap, terminal=terminal)


def kill(status: int | None) -> Trigger:
    """KILL Ansible's main process. The front end reports it by its status."""
    return Trigger("KILL of main", to_main(signal.SIGKILL), status, recap=False)


def timeout(status: int = 0) -> Trigger:
    """Let the task's `timeout:` run out."""
    return replace(triggers.TIMEOUT, fire=_alarm, status=status)


CTRL_C = interrupt("Ctrl-C in a terminal", triggers.CTRL_C.fire, 99, terminal=True)
INT_TO_MAIN = interrupt("INT to main", to_main(INT), 99)
TERM_TO_MAIN = interrupt("TERM to main", to_main(TERM), 143)
NOHUP = interrupt("HUP, then TERM", _nohup, -TERM)
AS_CI = interrupt("TERM to the group, KILL ten seconds later", _as_ci, -TERM)
AS_GITHUB = interrupt("INT, TERM 7.5 s later, KILL 2.5 s after that", _as_github, 99)
AS_JENKINS = interrupt("TERM to every process of the run", _as_jenkins, -TERM)
CANCEL_CALLBACK = interrupt("cancel_callback", _cancel, 0, recap=False)
