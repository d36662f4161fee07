# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A row without the collection.

It shows what an interruption then leaves on the controller and on the hosts.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from ansible.release import __version__

from tests.support.hosts import Host, Lab
from tests.support.trees import census, tree
from tests.support.trees.rows import tidy
from tests.support.trees.triggers import Trigger

from . import controller
from .play import Setting
from .run import Run, started
from .waiting import TooLate, stays, until

#: Seconds within which each process has ended that does not survive.
END_SECONDS = 20.0

#: Seconds for which survivors are watched.
WATCH_SECONDS = 1.0

#: Before 2.19, workers share the process group of the main process, and core installs no signal
#: handlers.
BEFORE_2_19 = tuple(int(part) for part in __version__.split(".")[:2]) < (2, 19)


@dataclass
class Remains:
    """Processes that were left, and stayed for as long as they were watched."""

    letters: str  #: W workers, S ssh clients, R the plain process on the hosts
    status: int | None  #: exit status of the main process, negative for a signal
    survivors: set[str] = field(
        default_factory=set
    )  #: kinds of processes that are alive on every host
    story: str = ""


def play_control(lab: Lab, setting: Setting, trigger: Trigger, expected: str = "WSR") -> Remains:
    """Interrupt a run without the collection.

    `expected`: the letters of what is to stay. The other processes get time to end.
    """
    hosts = list(lab)[: setting.hosts]
    known = {host.name: frozenset(process.id for process in host.processes()) for host in hosts}
    with started(
        lab, setting, collection=False, terminal=trigger.terminal, before=trigger.before
    ) as run:
        census.wait_for_tree(run, hosts, known)
        trigger.fire(run, lab)
        status = run.wait(END_SECONDS)
        # If more than the expected processes stay, the assertions on the returned value report it.
        with suppress(TooLate):
            until(lambda: set(_letters(run, hosts)) <= set(expected), END_SECONDS, "")
        letters = _letters(run, hosts)
        stays(
            lambda: _letters(run, hosts) == letters,
            WATCH_SECONDS,
            f"{letters or 'nothing'} was left, then {_letters(run, hosts) or 'nothing'}\n"
            f"{run.story}",
        )
        found = census.survivors(hosts, known, run.row)
        survivors = set.intersection(
            *({census.name_of(process, run.row) for process in found[host.name]} for host in hosts)
        )
        remains = Remains(letters, status, survivors, run.story)
    tidy(hosts, known)
    return remains


def _letters(run: Run, hosts: Sequence[Host]) -> str:
    here = controller.processes(run.row)
    found = {
        "W": any(
            process.is_ansible and process.id.pid != run.process.pid
            for process in here
            if not process.is_ssh
        ),
        "S": any(process.is_ssh for process in here),
        "R": any(
            tree.label_of(process.command, run.row) == "plain"
            for host in hosts
            for process in host.processes()
        ),
    }
    return "".join(letter for letter, there in found.items() if there)
