# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kill pass on a host with 5,000 unrelated processes, beside a grep over their environments."""

from __future__ import annotations

import secrets
import time

from tests.support.hosts import Host, Lab
from tests.support.run.waiting import until

from .figure import Figure, by_turns, compared
from .installed import product

_CROWD = 5000
_PAIRS = 7
_BAR = 2.0

_RUN = "0123456789abcdef"

#: The environment has the size that people's processes have.
_GROW = f"""
export LS_COLORS="$(printf '%1500s' '')"
n=0
while [ $n -lt {_CROWD} ]; do sleep 7200 < /dev/null > /dev/null 2>&1 & n=$((n + 1)); done
"""


def measure(lab: Lab) -> Figure:
    """Measure both, run by root and from this machine.

    So both include what it costs to enter the host.
    """
    host = lab["web1"]
    host.reset()
    host.run(["setsid", "--fork", "sh", "-c", _GROW])
    until(lambda: _count(host) >= _CROWD, 120, lambda: f"only {_count(host)} processes of {_CROWD}")
    try:
        mine, its = by_turns(lambda: _kill_pass(host), lambda: _grep(host), _PAIRS)
    finally:
        host.reset()
    return compared(
        f"kill pass on a host with {_CROWD:,} other processes",
        "`grep -l` over `/proc/*/environ` there",
        mine,
        its,
        _BAR,
    )


def _count(host: Host) -> int:
    return int(host.run(["sh", "-c", "ls -d /proc/[0-9]* | wc -l"]).stdout)


def _kill_pass(host: Host) -> float:
    program = product("_payload.kill_command")
    lease, nonce = secrets.token_hex(4), secrets.token_hex(8)
    for number in range(3):
        host.spawn(["sleep", f"720{number}"], environ={"TREEKILL": f"{_RUN}/{lease}/2/1"})
    request = program.KillRequest(
        run=_RUN,
        lease=lease,
        nonce=nonce,
        signal=15,
        children=True,
        children_signal=15,
        timeout=10.0,
        arrival_timeout=2.0,
        arguments=True,
        escalate=True,
    )
    command = program.kill_command(request, ["/usr/bin/python3"])
    began = time.monotonic()
    done = host.run(["sh", "-c", command])
    took = time.monotonic() - began
    report = program.parse_report(done.stdout, nonce)
    if len(report.gone) != 3 or report.survivors:
        raise AssertionError(f"the kill pass has not done its work: {report}")
    return took


def _grep(host: Host) -> float:
    began = time.monotonic()
    host.run(["sh", "-c", f"grep -l TREEKILL={_RUN} /proc/*/environ"], check=False)
    return time.monotonic() - began
