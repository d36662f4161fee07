# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One row of the matrix, played from beginning to end: grow, interrupt, watch, and tell what was seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.hosts import Host, HostProcess, Lab, ProcessId

from . import bystanders, census, controller, tree
from .bystanders import Company
from .play import Setting
from .run import Run, started
from .triggers import Trigger
from .waiting import TooLate, until

#: Seconds beyond the grace in which all has to be gone: a few connections on a machine with two busy cores.
SLACK = 8.0

#: The same for each further host.
SLACK_PER_HOST = 0.5

#: Seconds within which main process, guardian and clients have ended, once the hosts are clean.
EXIT_SECONDS = 20.0


@dataclass
class Outcome:
    """What was seen of a row."""

    row: str
    hosts: list[str]
    status: int | None = None  #: exit status of the main process, negative for a signal; None: it did not end in time
    survivors: dict[str, list[str]] = field(default_factory=dict)  #: host name: who was alive in the end
    seconds: float = 0.0  #: from the trigger until the last process of the tree was gone, or until nobody waited any longer
    late: dict[str, list[str]] = field(default_factory=dict)  #: host name: who was alive when nobody waited any longer
    dead: list[str] = field(default_factory=list)  #: bystanders that did not live
    left: list[str] = field(default_factory=list)  #: processes and files of the run on the controller
    output: str = ""
    errors: str = ""
    story: str = ""

    @property
    def alive(self) -> set[str]:
        """Who survived anywhere."""
        return {name for names in self.survivors.values() for name in names}


Fire = Callable[[Run, Lab], None]


def play_row(
    company: Company, setting: Setting, trigger: Trigger, *, fire: Fire | None = None, patience: float | None = None, but: frozenset[str] = frozenset()
) -> Outcome:
    """Run the tree with the collection among bystanders, interrupt it, and watch until all is gone or patience is at its end.

    `fire`: what to do instead of the trigger's own. `patience`: seconds until the tree has to be gone, instead of the grace and some slack.
    `but`: kinds whose end nobody waits for.
    """
    hosts = list(company.hosts)[: setting.hosts]
    with started(company.lab, setting, collection=True, terminal=trigger.terminal) as run:
        known = {host.name: company.known(host) for host in hosts}
        census.wait_for_tree(run, hosts, known)
        assert "Skipping callback" not in run.errors, f"core did not load the callback\n{run.story}"
        mine = {host.name: bystanders.of_row(run, host, census.newcomers(host, known[host.name])) for host in hosts}
        for host in hosts:
            known[host.name] |= {process for processes in mine[host.name].values() for process in processes}
        outcome = Outcome(run.row, [host.name for host in hosts])
        try:
            began = time.monotonic()
            (fire or trigger.fire)(run, company.lab)
            if patience is None:
                patience = setting.kill_timeout + SLACK + SLACK_PER_HOST * len(hosts)
            _watch(outcome, run, hosts, known, began, patience, but)
            outcome.dead = company.dead() + [
                f"{who} on {name}" for name, groups in mine.items() for who, processes in groups.items() if not all(one.alive() for one in processes)
            ]
        finally:
            tidy(hosts, known)
            for processes in (processes for groups in mine.values() for processes in groups.values()):
                for process in processes:
                    process.kill()
    return outcome


def _watch(outcome: Outcome, run: Run, hosts: Sequence[Host], known: dict[str, frozenset[ProcessId]], began: float, patience: float, but: frozenset[str]) -> None:
    def all_gone() -> bool:
        return all(tree.label_of(process.command, run.row) in but for host in hosts for process in census.newcomers(host, known[host.name]))

    _in_time(all_gone, patience)
    outcome.seconds = time.monotonic() - began
    if outcome.seconds > patience:
        outcome.late = _by_name(census.survivors(hosts, known, run.row), run.row)
    outcome.status = run.wait(EXIT_SECONDS)
    _in_time(lambda: not controller.processes(run.row) and not _files(run.directory), EXIT_SECONDS)
    outcome.left = [*map(str, controller.processes(run.row)), *_files(run.directory)]
    # Looked at again when everybody has left: what comes back after the last look of the kill pass is a survivor as well.
    outcome.survivors = _by_name(census.survivors(hosts, known, run.row), run.row)
    outcome.output, outcome.errors, outcome.story = run.output, run.errors, run.story


def _by_name(found: Mapping[str, Iterable[HostProcess | str]], row: str) -> dict[str, list[str]]:
    return {host: sorted({census.name_of(process, row) for process in processes}) for host, processes in found.items()}


def _in_time(look: Callable[[], bool], seconds: float) -> None:
    try:
        until(look, seconds, "")
    except TooLate:
        pass  # What is not so by then is found, and told, by the assertions on the outcome.


def _files(directory: Path) -> list[str]:
    return sorted(str(path) for path in directory.glob("treekill-*"))


def tidy(hosts: Sequence[Host], known: Mapping[str, frozenset[ProcessId]]) -> None:
    """Kill what survived a row; a host where that does not help is wiped, and its bystanders with it."""
    for host in hosts:

        def all_killed(host: Host = host) -> bool:
            left = census.newcomers(host, known[host.name])
            for process in left:
                process.id.kill()
            return not left

        try:
            until(all_killed, 5, "")
        except TooLate:
            host.reset()
