# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containers as test hosts.

They are seen from outside by the namespace of their pid 1. The inventory of their lab has how they
are reached.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.hosts import Host, Lab, ProcessId, processes
from tests.support.hosts.errors import HostIsOff
from tests.support.hosts.host import BOOT_SECONDS
from tests.support.hosts.namespace_host import NamespaceHost
from tests.support.run.waiting import until

#: In the environment of a container's pid 1, which is found by it from outside. The daemon may
#: return pids of a namespace of its own.
MARK = "TK_CONTAINER"

#: pid 1 of a container. It has no child of its own, and reaps those that become its children.
INIT = (
    "python3",
    "-c",
    "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nwhile True: signal.pause()",
)


class Container(NamespaceHost):
    """A running container. Tests look at it and spawn in it by the kernel, not by its engine."""

    def __init__(self, directory: Path, name: str, address: str) -> None:
        """`address`: the engine's name for it; its pid 1 has that as the value of MARK."""
        # A container lacks what a host of namespaces has besides.
        super(NamespaceHost, self).__init__(directory, name, address, 0, "ansible")
        self._mark = address
        self._init: ProcessId | None = None

    @property
    def init(self) -> ProcessId:
        if self._init is None:
            self._init = until(
                self._find_init, BOOT_SECONDS, f"no process is pid 1 of {self._mark}"
            )
        if not self._init.alive():
            raise HostIsOff(f"the container {self.address} has ended")
        return self._init

    def _find_init(self) -> ProcessId | None:
        for pid in processes.all_pids():
            if (processes.read_environ(pid) or {}).get(MARK) == self._mark:
                found = processes.read_process(pid, processes.depth_of(pid), str)
                if found and found.pid == 1:
                    return found.id
        return None

    def reset(self) -> None:
        self.run(["sh", "-c", "kill -9 -1"], check=False)
        self._wait_until_idle(time.monotonic() + BOOT_SECONDS)
        self.run(["sh", "-c", "rm -rf /tmp/* /tmp/.[!.]*"])


class TransportLab(Lab):
    """Hosts that are reached by something else than the ssh of the test hosts.

    The code that made them removes them.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        hosts: Sequence[Host],
        variables: Mapping[str, Any] | None,
        *,
        has_pulses: bool = False,
    ) -> None:
        """`variables`: of all hosts, beside `ansible_host`.

        None: the inventory of that name is written already. `has_pulses`: as in Lab.
        """
        self.has_pulses = has_pulses
        self.name = name
        self.directory = directory
        self._hosts = {host.name: host for host in hosts}
        self._inventory = directory / name
        if variables is None:
            return
        self._inventory = directory / f"{name}.json"
        listed = {host.name: {"ansible_host": host.address} for host in hosts}
        self._inventory.write_text(
            json.dumps({"hosts": {"hosts": listed, "vars": dict(variables)}})
        )

    @property
    def inventory(self) -> Path:
        return self._inventory
