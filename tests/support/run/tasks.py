# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks of the plays.

One grows a tree, one waits at a gate until the test opens it, and one leaves a trace.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.support.hosts import Host
from tests.support.run import controller
from tests.support.run import gate as gates
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees import census

Task = dict[str, Any]

#: Seconds for the kill pass of a tree that does not resist, with its connection, on a machine with
#: two busy cores.
KILL_SECONDS = 20.0

#: Seconds within which main process, guardian and clients have ended, once the hosts are clean.
EXIT_SECONDS = 20.0

# Functions of the tests for a task at a gate.
wait_at, open_gate = gates.wait_at, gates.open_gate


def grow(**keywords: Any) -> Task:
    """Return a task that starts processes of the play's kinds, and lasts until it is ended."""
    return {
        "name": "Grow a tree",
        "ansible.builtin.shell": "{{ lookup('file', 'tree.sh') }}",
        **keywords,
    }


def trace(name: str = "ran", **keywords: Any) -> Task:
    """Return a task that leaves a file, which shows that the task ran."""
    return {
        "name": f"Leave a trace, {name}",
        "ansible.builtin.command": f"touch /tmp/trace-{{{{ row }}}}-{name}",
        **keywords,
    }


def gate(name: str = "gate", **keywords: Any) -> Task:
    """Return a task that waits until the test opens its gate."""
    return {
        "name": f"Stand at the gate, {name}",
        "ansible.builtin.shell": gates.script("{{ row }}", name),
        **keywords,
    }


def has_left_trace(run: Run, host: Host, name: str = "ran") -> bool:
    """Whether the task of `trace` ran there."""
    return (host.root / f"tmp/trace-{run.row}-{name}").exists()


def wait_for_tree(run: Run, hosts: Sequence[Host]) -> None:
    """Return when every process of the tree runs on each of the hosts."""
    census.wait_for_tree(run, hosts, {host.name: frozenset() for host in hosts})


def alive(run: Run, *hosts: Host, match: str = "") -> list[str]:
    """Return the command lines of the run's processes on these hosts."""
    return [
        process.command
        for host in hosts
        for process in host.processes(f"{match}.*{run.row}" if match else run.row)
    ]


def wait_until_gone(run: Run, hosts: Iterable[Host], seconds: float = KILL_SECONDS) -> None:
    """Return when no process of the run is alive on the hosts."""
    hosts = list(hosts)
    until(
        lambda: not alive(run, *hosts), seconds, lambda: f"alive: {alive(run, *hosts)}\n{run.story}"
    )


def wait_until_nothing_is_left(run: Run, but: Collection[Host] = ()) -> None:
    """Return when no process of the run is left on this machine, and no directory of its guardian.

    `but`: hosts without a guard. Before 2.19, an interrupted core leaves the ssh clients to them
    behind.
    """
    elsewhere = [Path(parent) for parent in ("/tmp", "/var/tmp", "/dev/shm")]

    def left() -> list[str]:
        directories = [
            *run.directory.rglob("treekill-*-*"),
            *(
                path
                for parent in elsewhere
                for path in parent.glob(f"treekill-*-{run.process.pid}-*")
            ),
        ]
        return [*_processes_left(run, but), *map(str, directories)]

    until(lambda: not left(), EXIT_SECONDS, lambda: f"left: {left()}\n{run.story}")


def wait_until_no_process_is_left(run: Run) -> None:
    """Return when no process of the run is left on this machine."""
    until(
        lambda: not _processes_left(run),
        EXIT_SECONDS,
        lambda: f"left: {_processes_left(run)}\n{run.story}",
    )


def _processes_left(run: Run, but: Collection[Host] = ()) -> list[str]:
    return [
        str(one)
        for one in controller.processes(run.row)
        if not (one.is_ssh and any(host.address in one.command for host in but))
    ]


def said(run: Run) -> str:
    """Return what the run wrote, with single spaces: Ansible breaks lines of messages anywhere."""
    return " ".join(f"{run.output}\n{run.errors}".split())
