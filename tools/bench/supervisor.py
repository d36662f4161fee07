# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Memory of a supervisor on a host while its module runs."""

from __future__ import annotations

from pathlib import Path

from tests.support.hosts import Lab
from tests.support.run import run
from tests.support.run.play import Setting
from tests.support.trees import census, tree

from .figure import Figure

_BAR_MIB = 9.0


def measure(lab: Lab) -> Figure:
    """Measure the resident memory, pages that it shares with other processes included."""
    hosts = [lab["web1"]]
    hosts[0].reset()
    known = {"web1": frozenset(process.id for process in hosts[0].processes())}
    with run.started(
        lab, Setting(hosts=1, pipelining=True, kinds=tree.COOPERATIVE), collection=True
    ) as one:
        census.wait_for_tree(one, hosts, known)
        supervisors = [
            process
            for process in hosts[0].processes()
            if process.command.startswith("treekill: supervisor")
        ]
        memory = max(_resident_mib(process.outer_pid) for process in supervisors)
    return Figure(
        "supervisor: resident memory",
        f"{memory:.1f} MiB",
        "",
        "",
        f"at most {_BAR_MIB:g} MiB",
        memory <= _BAR_MIB,
    )


def _resident_mib(pid: int) -> float:
    line = next(
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    )
    return int(line.split()[1]) / 1024
