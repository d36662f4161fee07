# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One row of the matrix, played from beginning to end.

It grows a tree, interrupts it, watches, and returns what was seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tests.support.hosts import Host, Lab, ProcessId
from tests.support.run import controller
from tests.support.run.play import Setting
from tests.support.run.run import Run, started
from tests.support.run.waiting import TooLate, until

from . import bystanders, census, tree
from .bystanders import Company
from .triggers import Trigger

#: Seconds beyond the grace within which all has to be gone: a few connections on a machine with two
#: busy cores.
SLACK = 8.0

#: Such seconds for each further host.
SLACK_PER_HOST = 0.5

#: Seconds within which main process, guardian and clients have ended, once the hosts are clean.
EXIT_SECONDS = 20.0

#: Seconds for which survivors are killed one by one, before the host is wiped.
_TIDY_SECONDS = 5.0


@dataclass
class Outcome:
    """Result of a row."""

    row: str
    hosts: list[str]
    status: int | None = (
        None  # exit status of the main process, negative for a signal; None: it did not end in time
    )
    survivors: dict[str, list[str]] = field(
        default_factory=dict
    )  #: host name: what was alive in the end
    #: from the trigger until the last process of the tree was gone, or until the end of the wait
    seconds: float = 0.0
    late: dict[str, list[str]] = field(
        default_factory=dict
    )  #: host name: what was alive at the end of the wait
    dead: list[str] = field(default_factory=list)  #: bystanders that did not live
    left: list[str] = field(
        default_factory=list
    )  #: processes and files of the run on the controller
    output: str = ""
    errors: str = ""
    story: str = ""

    @property
    def alive(self) -> set[str]:
        """Return the survivors of all hosts."""
        return {name for names in self.survivors.values() for name in names}


@dataclass
class Scene:
    """A row while it is played."""

    run: Run
    hosts: Sequence[Host]
    known: dict[
        str, frozenset[ProcessId]
    ]  #: host name: all processes there that do not belong to the tree
    but: frozenset[str]  #: kinds whose end is not waited for
    guardian: bool  #: whether a guardian is left that removes its directory

    def all_gone(self) -> bool:
        """Whether a look at the hosts finds no process of the tree."""
        found = (
            process
            for host in self.hosts
            for process in census.of_tree(host, self.known[host.name])
        )
        return all(tree.label_of(process.command, self.run.row) in self.but for process in found)

    def survivors(self) -> dict[str, list[str]]:
        """Return host name: what is there, after more than one look."""
        found = census.survivors(self.hosts, self.known, self.run.row)
        return {
            host: sorted({census.name_of(process, self.run.row) for process in processes})
            for host, processes in found.items()
        }

    def left_here(self) -> list[str]:
        """Return processes and files of the run on this machine."""
        files = sorted(map(str, self.run.directory.glob("treekill-*"))) if self.guardian else []
        return [*map(str, controller.processes(self.run.row)), *files]


When = Callable[[Run, Sequence[Host], Mapping[str, frozenset[ProcessId]]], None]

Fire = Callable[[Run, Lab], None]


def play_row(
    company: Company,
    setting: Setting,
    trigger: Trigger,
    *,
    when: When = census.wait_for_tree,
    fire: Fire | None = None,
    patience: float | None = None,
    but: frozenset[str] = frozenset(),
) -> Outcome:
    """Run the tree with the collection among bystanders, interrupt it, and watch until all is gone.

    `when`: function that returns at the moment of the interruption. `fire`: what to do instead of
    the trigger's own. `patience`: seconds until the tree has to be gone, instead of the grace and
    some slack. `but`: kinds whose end is not waited for.
    """
    hosts = list(company.hosts)[: setting.hosts]
    with started(
        company.lab, setting, collection=True, terminal=trigger.terminal, before=trigger.before
    ) as run:
        scene = Scene(
            run, hosts, {host.name: company.known(host) for host in hosts}, but, trigger.guardian
        )
        mine: dict[str, dict[str, list[ProcessId]]] = {}
        try:
            when(run, hosts, scene.known)
            assert "Skipping callback" not in run.errors, (
                f"core did not load the callback\n{run.story}"
            )
            for host in hosts:
                mine[host.name] = bystanders.of_row(
                    run, host, census.newcomers(host, scene.known[host.name])
                )
                scene.known[host.name] |= {
                    process for processes in mine[host.name].values() for process in processes
                }
            patience = patience or setting.kill_timeout + SLACK + SLACK_PER_HOST * len(hosts)
            outcome = _interrupt(scene, lambda: (fire or trigger.fire)(run, company.lab), patience)
            outcome.dead = company.dead() + [
                f"{what} on {name}"
                for name, groups in mine.items()
                for what, processes in groups.items()
                if not all(one.alive() for one in processes)
            ]
        finally:
            tidy(hosts, scene.known)
            for process in (
                one
                for groups in mine.values()
                for processes in groups.values()
                for one in processes
            ):
                process.kill()
    return outcome


def _interrupt(scene: Scene, fire: Callable[[], None], patience: float) -> Outcome:
    run, outcome = scene.run, Outcome(scene.run.row, [host.name for host in scene.hosts])
    began = time.monotonic()
    fire()
    _in_time(scene.all_gone, patience - (time.monotonic() - began))
    outcome.seconds = time.monotonic() - began
    if outcome.seconds > patience:
        outcome.late = scene.survivors()
    outcome.status = run.wait(EXIT_SECONDS)
    _in_time(lambda: not scene.left_here(), EXIT_SECONDS)
    outcome.left = scene.left_here()
    # A second look after all else has ended: what comes back after the last look of the kill pass
    # is a survivor as well.
    outcome.survivors = scene.survivors()
    outcome.output, outcome.errors, outcome.story = run.output, run.errors, run.story
    return outcome


def _in_time(look: Callable[[], bool], seconds: float) -> None:
    # If it is not so by then, the assertions on the outcome find and report it.
    with suppress(TooLate):
        until(look, seconds, "")


def tidy(hosts: Sequence[Host], known: Mapping[str, frozenset[ProcessId]]) -> None:
    """Kill what survived a row.

    A host where that does not help is wiped, and its bystanders with it.
    """
    for host in hosts:

        def all_killed(host: Host = host) -> bool:
            left = census.newcomers(host, known[host.name])
            for process in left:
                process.id.kill()
            return not left

        try:
            until(all_killed, _TIDY_SECONDS, "")
        except TooLate:
            host.reset()
