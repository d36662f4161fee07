# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Program that interrupts a playbook with Ctrl-C on two throw-away hosts.

It does so first without the collection, then with it, and prints what is still alive. `make demo`
calls it, and installs what it needs. The exit status is 1 if a process survived with the
collection.
"""

from __future__ import annotations

import sys

from tests.support.hosts import HostProcess, Lab, ProcessId
from tests.support.run import run
from tests.support.run.play import Setting
from tests.support.run.waiting import TooLate, until
from tests.support.trees import census

#: Seconds that the run may take to end after Ctrl-C: the grace and the connections.
_END_SECONDS = 30.0

#: Seconds until a process that was signalled and is going to end has ended.
_LAST_BREATH_SECONDS = 4.0

_SETTING = Setting(kill_timeout=2.0)


def interrupt(lab: Lab, *, collection: bool) -> dict[str, int]:
    """Run the playbook, press Ctrl-C when the whole tree runs, and count the survivors.

    Returns:
        Number of live processes on both hosts by kind. The shell script that started them is
        included.
    """
    hosts = list(lab)
    known = {host.name: frozenset(process.id for process in host.processes()) for host in hosts}
    with run.started(lab, _SETTING, collection=collection, terminal=True) as flight:
        census.wait_for_tree(flight, hosts, known)
        earlier = {
            host.name: _earlier(census.newcomers(host, known[host.name]), flight.row)
            for host in hosts
        }
        print(
            f"  {sum(len(census.newcomers(host, known[host.name])) for host in hosts)} processes "
            f"run on {len(hosts)} hosts. Ctrl-C."
        )
        flight.press_ctrl_c()
        status = flight.wait(_END_SECONDS)
        expected = {host.name: known[host.name] | earlier[host.name] for host in hosts}
        try:
            until(
                lambda: not any(census.newcomers(host, expected[host.name]) for host in hosts),
                _LAST_BREATH_SECONDS,
                "",
            )
        except TooLate:
            pass  # those are the survivors that are counted below
        print(
            "".join(
                f"  | {line}\n"
                for line in flight.output.replace("\r", "").splitlines()
                if line.strip()
            ),
            end="",
        )
        print(f"  ansible-playbook ended with status {status}.\n")
        return _count(census.survivors(hosts, expected, flight.row), flight.row)


def _earlier(processes: list[HostProcess], row: str) -> frozenset[ProcessId]:
    """Return the daemon that the play's first task has left on purpose.

    It is no part of the interrupted task.
    """
    return frozenset(process.id for process in processes if f"tk-earlier-{row}" in process.command)


def _count(survivors: dict[str, list[HostProcess | str]], row: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for processes in survivors.values():
        for name in {census.name_of(process, row) for process in processes}:
            counts[name] = counts.get(name, 0) + 1
    return counts


def table(without: dict[str, int], guarded: dict[str, int], hosts: int) -> str:
    """Return the survivors, a line for a kind of process.

    It has the number of hosts with survivors, without the collection and with it.
    """
    lines = [f"  {'what the task had started':<28}{'without':>14}{'with treekill.remote':>24}"]
    lines += [
        f"  {kind:<28}{_on(without.get(kind, 0), hosts):>14}{_on(guarded.get(kind, 0), hosts):>24}"
        for kind in (*_SETTING.kinds, "plain", "script")
    ]
    return "\n".join(lines)


def _on(count: int, hosts: int) -> str:
    return f"ALIVE on {count}/{hosts}" if count else "-"


def main() -> int:
    """Run the demonstration."""
    with Lab.up(count=2) as lab:
        print(
            "\n"
            "Two hosts with a real sshd: "
            f"{', '.join(f'{host.name} ({host.address})' for host in lab)}\n\n"
            "Without the collection:"
        )
        without = interrupt(lab, collection=False)
        for host in lab:
            host.reset()
        print("With it, that is with callbacks_enabled = treekill.remote.guardian in ansible.cfg:")
        guarded = interrupt(lab, collection=True)
        print(
            "Alive after Ctrl-C, counted from outside of the hosts:\n\n"
            + table(without, guarded, len(lab))
            + "\n"
        )
    if guarded:
        print("Something survived with the collection: that is a bug.")
    return 1 if guarded else 0


if __name__ == "__main__":
    sys.exit(main())
