# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways in which a run is interrupted, and how its main process has to end for each."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.support.hosts import Lab
from tests.support.run import controller
from tests.support.run.run import Run


@dataclass(frozen=True)
class Trigger:
    """One way to interrupt a run."""

    name: str
    fire: Callable[[Run, Lab], None]
    status: (
        int | None
    )  #: exit status of the main process, negative for a signal; None: it depends on core
    recap: bool  #: whether the main process lives to print one
    terminal: bool = False  #: whether the run needs one
    before: tuple[str, ...] = ()  #: words before `ansible-playbook`
    guardian: bool = True  #: whether one is left that removes its directory


def _signal(number: signal.Signals) -> Callable[[Run, Lab], None]:
    return lambda run, lab: run.process.send_signal(number)


def _kill_clients(run: Run, lab: Lab) -> None:
    for host in [*lab][: run.setting.hosts]:
        controller.client_of(run.row, host.address).kill()


def _kill_masters(run: Run, lab: Lab) -> None:
    for master in controller.masters(run.directory):
        master.kill()


def _alarm(run: Run, lab: Lab) -> None:
    for host in [*lab][: run.setting.hosts]:
        controller.worker_of(run.row, run.process.pid, host.address).kill(signal.SIGALRM)


def _cut(run: Run, lab: Lab) -> None:
    for host in [*lab][: run.setting.hosts]:
        host.cut()


def _cut_and_kill(run: Run, lab: Lab) -> None:
    # In this order: not a packet shows the hosts that it died.
    _cut(run, lab)
    run.process.kill()


CTRL_C = Trigger(
    "Ctrl-C in a terminal", lambda run, lab: run.press_ctrl_c(), 99, recap=True, terminal=True
)
INT = Trigger("INT to main", _signal(signal.SIGINT), 99, recap=True)
TERM = Trigger("TERM to main", _signal(signal.SIGTERM), -signal.SIGTERM, recap=True)
HUP = Trigger("HUP to main", _signal(signal.SIGHUP), -signal.SIGHUP, recap=True)
KILL = Trigger("KILL to main", _signal(signal.SIGKILL), -signal.SIGKILL, recap=False)
KILL_GROUP = Trigger(
    "KILL to the process group", lambda run, lab: run.kill_group(), -signal.SIGKILL, recap=False
)
KILL_WORKER = Trigger(
    "KILL to one worker", lambda run, lab: run.kill_worker(lab["web1"].address), None, recap=False
)

# Events that end a run though no person wanted that.

#: As in a container: with the first process of the namespace all others die, the guardian and the
#: ControlMaster too.
LOST_CONTROLLER = Trigger(
    "KILL to the whole controller",
    _signal(signal.SIGKILL),
    -signal.SIGKILL,
    recap=False,
    before=("unshare", "--pid", "--mount-proc", "--fork", "--kill-child"),
    guardian=False,
)
#: A lost controller that sends no packet about its end.
LOST_POWER = replace(LOST_CONTROLLER, name="power loss of the controller", fire=_cut_and_kill)
#: The run goes on. Its ssh client reports that the host can't be reached. So no process is left
#: whose end it could confirm.
CUT_NETWORK = Trigger("network cut", _cut, 4, recap=False)
#: The module has no result: the task fails.
LOST_CLIENT = Trigger("KILL to the ssh client", _kill_clients, 2, recap=True)
#: The client reports a lost connection: the host is unreachable.
LOST_MASTER = Trigger("KILL to the ControlMaster", _kill_masters, 4, recap=True)
#: The task's `timeout:` has run out, at the moment that the test chooses: core receives exactly
#: this signal.
TIMEOUT = Trigger("timeout", _alarm, 0, recap=True)

#: Triggers of one shot. The second Ctrl-C has a test of its own.
ALL = (CTRL_C, INT, TERM, HUP, KILL, KILL_GROUP, KILL_WORKER)
