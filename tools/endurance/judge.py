# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""Faults of a round, counted from outside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.integration.grace import packages
from tests.support.hosts import Host, HostProcess, Lab
from tests.support.run import tasks
from tests.support.run.run import Run
from tests.support.trees import census

#: What may be left on a host: the package of the rounds.
_MAY_STAY = (packages.NAME,)

_COOKIE = re.compile(r"([0-9a-f]{16})/([0-9a-f]{8})/")


@dataclass(frozen=True)
class Alive:
    """A process of a run that was seen at a moment."""

    host: str
    lease: str  #: empty if its cookie was not to be seen
    process: HostProcess

    def __str__(self) -> str:
        one = self.process
        return f"{one.pid} of {one.user} on {self.host}: {one.command[:160]!r}"


def run_ids(run: Run) -> list[str]:
    """Return the ids under which a run is known on hosts: its journal has them."""
    return [path.stem for path in (run.directory / "home/treekill/journal").glob("*.jsonl")]


def alive_of(lab: Lab, run: Run) -> list[Alive]:
    """Return what is alive of a run on the hosts, but for the keepers of reports."""
    marks = [run.row, *run_ids(run)]
    found = []
    for name, processes in lab.processes().items():
        for one in processes:
            text = f"{one.command} {one.environ or {}}"
            if one.command.startswith(census.REPORT) or not any(mark in text for mark in marks):
                continue
            cookie = _COOKIE.search(text)
            found.append(Alive(name, cookie[2] if cookie else "", one))
    return found


def report_of(run: Run) -> dict[str, Any] | None:
    """Return the report of a run, if there is one."""
    path = run.directory / "report.json"
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError):
        return None


@dataclass(frozen=True)
class Word:
    """The words of a run when its main process had ended, and what was alive right after."""

    printed: str
    report: dict[str, Any] | None
    alive: Sequence[Alive]

    @classmethod
    def of(cls, lab: Lab, run: Run) -> Word:
        """Return it. The report is read first: it may be written once more."""
        report = report_of(run)
        return cls(f"{run.output}\n{run.errors}", report, alive_of(lab, run))

    def lies(self) -> list[str]:
        """Return what was said and was not so."""
        if "nothing was running on any host" in self.printed:
            return [f"'nothing was running on any host', and alive: {one}" for one in self.alive]
        return [
            f"lease {tree['lease']} is confirmed, and alive: {one}"
            for tree in (self.report or {}).get("trees", ())
            if tree["outcome"] == "confirmed" and tree["report"]
            for one in self._unnamed(tree)
        ]

    def _unnamed(self, tree: Mapping[str, Any]) -> list[Alive]:
        """Return what is alive of a tree though the report does not name it."""
        named = {
            one["pid"]
            for one in tree["report"]["processes"]
            if one["state"] in ("survived", "spared", "finishing")
        }
        return [
            one
            for one in self.alive
            if one.host == tree["host"]
            and one.lease == tree["lease"]
            and not one.process.command.startswith("treekill: ")
            and not _is_below(one, named, self.alive)
        ]


def _is_below(one: Alive, named: set[int], all_alive: Iterable[Alive]) -> bool:
    """Whether a process is below one that the report names, as in a transaction."""
    parents = {
        other.process.pid: other.process.ppid for other in all_alive if other.host == one.host
    }
    pid = one.process.pid
    while pid in parents:
        if pid in named:
            return True
        pid = parents[pid]
    return pid in named


def left_on_controller(run: Run, *, directory: bool) -> str:
    """Return what is left of a run on this machine; nothing if all is well.

    `directory`: whether its guardian's directory must be gone.
    """
    try:
        if directory:
            tasks.wait_until_nothing_is_left(run)
        else:
            tasks.wait_until_no_process_is_left(run)
    except AssertionError as error:
        return str(error).partition("\n")[0]
    return ""


def left_on_host(host: Host) -> list[str]:
    """Return the files of the collection that are left on a host."""
    places = ["/tmp", "/var/tmp", "/run", "/dev/shm", "/home", "/root"]
    found = host.run(
        ["find", *places, "-xdev", "-iname", "*treekill*", "-not", "-path", "*/proc/*"],
        check=False,
    ).stdout.split("\n")
    return [path for path in found if path and not any(name in path for name in _MAY_STAY)]


def broken_package(host: Host) -> str:
    """Return what is wrong with the packages of a host; nothing if all is well."""
    audit = packages.audit(host)
    if audit:
        return audit
    state = packages.state(host)
    if packages.has_begun(host) and state != "install ok installed":
        return f"its script had begun, and it is {state!r}"
    return ""
