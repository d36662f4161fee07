# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pulses on a host, and the supervisors that are connected to them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tests.support.hosts import Host, ProcessId
from tests.support.run.run import Run
from tests.support.run.waiting import until

from . import census

#: Seconds that a host waits for another pulse on these hosts, at most. It waits for 2 seconds,
#: twice the 10 that ssh has to connect, and five times the less than two of the pulse.
GRACE = 32.0

#: The title of a pulse.
PULSE = "^treekill: pulse of run"

#: State of a connected socket in /proc/net/unix.
_CONNECTED = "03"


def attached(host: Host, run: str = "") -> int:
    """Return the number of supervisors that are connected to a pulse on a host.

    `run`: the id of a run, to count only its own.
    """
    sockets = [line.split() for line in host.run(["cat", "/proc/net/unix"]).stdout.splitlines()]
    return sum(1 for words in sockets if words[5] == _CONNECTED and f"{run}/pulse/" in words[-1])


def wait_for_attached(run: Run, host: Host, number: int = 1) -> None:
    """Return when so many supervisors are connected."""
    until(
        lambda: attached(host) == number,
        20,
        lambda: f"{attached(host)} supervisors are connected to a pulse\n{run.story}",
    )


def wait_for_pulse(
    run: Run, hosts: Sequence[Host], known: Mapping[str, frozenset[ProcessId]]
) -> None:
    """Return when the tree has grown, and its supervisor is connected to its pulse."""
    census.wait_for_tree(run, hosts, known)
    for host in hosts:
        wait_for_own_pulse(run, host, known[host.name])


def wait_for_own_pulse(run: Run, host: Host, known: frozenset[ProcessId]) -> None:
    """Return when a supervisor is connected to a pulse that is not known.

    Other runs may have pulses there.
    """
    until(
        lambda: any(
            attached(host, found[1])
            for process in census.newcomers(host, known)
            if (found := re.match(PULSE + r" (\w+)", process.command))
        ),
        20,
        lambda: f"no supervisor is connected to the pulse of the run\n{run.story}",
    )
