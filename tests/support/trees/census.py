# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live processes on the hosts of a row, seen from outside.

They are the tree that was grown, and all others that do not belong to the host.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.support.hosts import Host, HostProcess, ProcessId
from tests.support.run.run import Run
from tests.support.run.waiting import PAUSE, until

from . import tree

#: Seconds from the start of ansible-playbook until the whole tree runs on one host. Each further
#: host gets a tenth of it more.
READY_SECONDS = 40.0

#: Seconds for which survivors are looked for: several lives of a process that forks and exits.
WHILE_SECONDS = 0.5

#: Title of the process that keeps the report of a supervisor, as ps shows it.
REPORT = "treekill: report of run "

#: Kinds that every look may miss: on a busy machine a look takes longer than they live. Their trace
#: shows them.
_FLEETING = ("hops", "hops-cleared")


def newcomers(host: Host, known: frozenset[ProcessId]) -> list[HostProcess]:
    """Return the processes of the host that are neither the host's own nor known."""
    return [process for process in host.processes() if process.id not in known]


def of_tree(host: Host, known: frozenset[ProcessId]) -> list[HostProcess]:
    """Return the newcomers without the process that keeps the report of a supervisor.

    It stays for some seconds, for a kill pass that asks for it.
    """
    return [process for process in newcomers(host, known) if not process.command.startswith(REPORT)]


def survivors(
    hosts: Sequence[Host], known: Mapping[str, frozenset[ProcessId]], row: str
) -> dict[str, list[HostProcess | str]]:
    """Return by host what is there for a while beside the known processes.

    It is a process, or the kind of one that left its trace between two looks. One look can miss a
    process that forks and exits all the time. The trace is the file that such a process makes when
    it is ready, and makes again when it was removed.
    """
    for trace in (_trace(host, kind, row) for host in hosts for kind in _FLEETING):
        trace.unlink(missing_ok=True)
    found: dict[str, dict[ProcessId, HostProcess]] = {host.name: {} for host in hosts}
    deadline = time.monotonic() + WHILE_SECONDS
    while time.monotonic() < deadline:
        for host in hosts:
            found[host.name].update(
                (process.id, process) for process in of_tree(host, known[host.name])
            )
        time.sleep(PAUSE)
    return {
        host.name: [
            *found[host.name].values(),
            *(kind for kind in _FLEETING if _trace(host, kind, row).exists()),
        ]
        for host in hosts
    }


def _trace(host: Host, kind: str, row: str) -> Path:
    return host.root / tree.READY.format(row=row).lstrip("/") / f"{kind}-{row}"


def name_of(process: HostProcess | str, row: str) -> str:
    """Return its name for people: the kind if it has a label, otherwise the process."""
    if isinstance(process, str):
        return process
    return (
        tree.label_of(process.command, row)
        or f"{process.pid} of {process.user}: {process.command[:120]!r}"
    )


def wait_for_tree(
    run: Run, hosts: Sequence[Host], known: Mapping[str, frozenset[ProcessId]]
) -> None:
    """Return when every process of the tree is ready on every host, and seen from outside."""
    for host in hosts:
        _wait_for_tree_on(host, run, known[host.name], READY_SECONDS * (1 + len(hosts) / 10))


def _wait_for_tree_on(host: Host, run: Run, known: frozenset[ProcessId], seconds: float) -> None:
    ready = host.root / tree.READY.format(row=run.row).lstrip("/")
    until(
        lambda: run.process.poll() is not None or not _silent(ready, run),
        seconds,
        lambda: (
            f"on {host.name} these are not ready: {', '.join(_silent(ready, run))}\n{run.story}"
        ),
    )
    assert run.process.poll() is None, f"it ended before the tree stood\n{run.story}"
    fleeting = [_trace(host, kind, run.row) for kind in _FLEETING if kind in run.setting.kinds]
    for trace in fleeting:
        trace.unlink()
    until(
        lambda: all(trace.exists() for trace in fleeting),
        10,
        lambda: f"on {host.name} these were ready, and do not run: {fleeting}\n{run.story}",
    )
    until(
        lambda: not _missing(newcomers(host, known), run),
        10,
        lambda: (
            f"on {host.name} these were ready, and do not run: "
            f"{_missing(newcomers(host, known), run)}\n{run.story}"
        ),
    )


def _silent(ready: Path, run: Run) -> list[str]:
    said = (
        {path.name.removesuffix(f"-{run.row}") for path in ready.iterdir()}
        if ready.is_dir()
        else set()
    )
    return sorted(({*run.setting.kinds, "plain", "script"}) - said)


def _missing(present: Iterable[HostProcess], run: Run) -> list[str]:
    seen = collections.defaultdict(list)
    for process in present:
        seen[tree.label_of(process.command, run.row)].append(process.state)
    lacking = []
    for name in (name for name in run.setting.kinds if name not in _FLEETING):
        kind = tree.KINDS[name]
        states = [state for state in seen[name] if not kind.state or state == kind.state]
        if len(states) < kind.count:
            lacking.append(
                f"{name} ({len(states)} of "
                f"{kind.count}{', state ' + kind.state if kind.state else ''})"
            )
    return lacking
