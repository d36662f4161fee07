# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is alive on the hosts of a row, seen from outside: the tree that was grown, and everybody who does not belong there."""

from __future__ import annotations

import collections
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.hosts import Host, HostProcess, ProcessId

from . import tree
from .run import Run
from .waiting import PAUSE, until

#: Seconds from the start of ansible-playbook until the whole tree stands on one host; each further host has a tenth of it more.
READY_SECONDS = 40.0

#: Seconds for which survivors are looked for: several lives of a process that forks and exits.
WHILE_SECONDS = 0.5

#: How ps shows the process that keeps the report of a supervisor.
REPORT = "treekill: report of run "

#: Kinds that one look may miss.
_FLEETING = ("hops", "hops-cleared")


def newcomers(host: Host, known: frozenset[ProcessId]) -> list[HostProcess]:
    """The processes of the host that are neither the host's own nor known."""
    return [process for process in host.processes() if process.id not in known]


def of_tree(host: Host, known: frozenset[ProcessId]) -> list[HostProcess]:
    """The newcomers, but for a process that keeps the report of a supervisor for some seconds: for who may come and ask."""
    return [process for process in newcomers(host, known) if not process.command.startswith(REPORT)]


def survivors(hosts: Sequence[Host], known: Mapping[str, frozenset[ProcessId]], row: str) -> dict[str, list[HostProcess | str]]:
    """By host, who is there for a while beside those known: a process, or the kind of one that left its trace while it was not looked at.

    One look can miss a process that forks and exits all the time; the file in which it says that it is ready comes back when it was removed.
    """
    traces = {host.name: [host.root / tree.READY.format(row=row).lstrip("/") / f"{kind}-{row}" for kind in _FLEETING] for host in hosts}
    for trace in (one for several in traces.values() for one in several):
        trace.unlink(missing_ok=True)
    found: dict[str, dict[ProcessId, HostProcess]] = {host.name: {} for host in hosts}
    deadline = time.monotonic() + WHILE_SECONDS
    while time.monotonic() < deadline:
        for host in hosts:
            found[host.name].update((process.id, process) for process in of_tree(host, known[host.name]))
        time.sleep(PAUSE)
    back = {name: [kind for kind, trace in zip(_FLEETING, several, strict=True) if trace.exists()] for name, several in traces.items()}
    return {name: [*seen.values(), *back[name]] for name, seen in found.items()}


def name_of(process: HostProcess | str, row: str) -> str:
    """What it is, for people: the kind where it has a label, otherwise who it is."""
    if isinstance(process, str):
        return process
    return tree.label_of(process.command, row) or f"{process.pid} of {process.user}: {process.command[:120]!r}"


def wait_for_tree(run: Run, hosts: Sequence[Host], known: Mapping[str, frozenset[ProcessId]]) -> None:
    """Return when every process of the tree has said ready on every host, and is seen there from outside."""
    for host in hosts:
        _wait_for_tree_on(host, run, known[host.name], READY_SECONDS * (1 + len(hosts) / 10))


def _wait_for_tree_on(host: Host, run: Run, known: frozenset[ProcessId], seconds: float) -> None:
    ready = host.root / tree.READY.format(row=run.row).lstrip("/")
    until(
        lambda: run.process.poll() is not None or not _silent(ready, run),
        seconds,
        lambda: f"on {host.name} these have not said ready: {', '.join(_silent(ready, run))}\n{run.story}",
    )
    assert run.process.poll() is None, f"it ended before the tree stood\n{run.story}"
    until(
        lambda: not _missing(newcomers(host, known), run),
        10,
        lambda: f"on {host.name} these said ready, and do not run: {_missing(newcomers(host, known), run)}\n{run.story}",
    )


def _silent(ready: Path, run: Run) -> list[str]:
    said = {path.name.removesuffix(f"-{run.row}") for path in ready.iterdir()} if ready.is_dir() else set()
    return sorted(({*run.setting.kinds, "plain", "script"}) - said)


def _missing(present: Iterable[HostProcess], run: Run) -> list[str]:
    seen = collections.defaultdict(list)
    for process in present:
        seen[tree.label_of(process.command, run.row)].append(process.state)
    lacking = []
    for name in run.setting.kinds:
        kind = tree.KINDS[name]
        states = [state for state in seen[name] if not kind.state or state == kind.state]
        if len(states) < kind.count:
            lacking.append(f"{name} ({len(states)} of {kind.count}{', state ' + kind.state if kind.state else ''})")
    return lacking
