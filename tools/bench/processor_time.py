# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The processor time of the controller and of the hosts, each by a control group.

The hosts run on the measuring machine. So the wall time does not show which of the two is slow.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from types import TracebackType

from tests.support.hosts import Lab
from tests.support.hosts.namespace_host import NamespaceHost
from tests.support.hosts.processes import members

#: Seconds for which a group is tried to be removed: the kernel counts a process for a moment after
#: its end.
_REMOVED_SECONDS = 5.0


class ProcessorTime:
    """The seconds that each side has used.

    `with ProcessorTime(lab) as used: before = used.now(); ...; after = used.now()`. Without control
    groups that can be written, all times are 0.
    """

    def __init__(self, lab: Lab) -> None:
        top = _hierarchy()
        self._groups = (
            [top / f"treekill-bench-{os.getpid()}-{side}" for side in ("controller", "hosts")]
            if top
            else []
        )
        self._lab = lab
        self._top = top

    @property
    def available(self) -> bool:
        """Whether the times are measured."""
        return bool(self._groups)

    def __enter__(self) -> ProcessorTime:
        try:
            for group in self._groups:
                group.mkdir()
            self.take_in()
        except OSError:
            self._remove()
            self._groups = []
        return self

    def take_in(self) -> None:
        """Take in this process and what runs on the hosts. All that they start is in as well."""
        if self._groups:
            controller, hosts = self._groups
            _move([os.getpid()], controller)
            inits = [host.init.pid for host in self._lab if isinstance(host, NamespaceHost)]
            _move([*inits, *(pid for found in members(inits).values() for pid in found)], hosts)

    def now(self) -> tuple[float, float]:
        """Return the seconds of the controller, and those of the hosts."""
        if not self._groups:
            return 0.0, 0.0
        controller, hosts = (_used(group) for group in self._groups)
        return controller, hosts

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        for group in self._groups:
            if not group.is_dir() or self._top is None:
                continue
            deadline = time.monotonic() + _REMOVED_SECONDS
            while time.monotonic() < deadline:
                _move([int(pid) for pid in (group / "cgroup.procs").read_text().split()], self._top)
                try:
                    group.rmdir()
                    break
                except OSError:
                    time.sleep(0.05)


def _hierarchy() -> Path | None:
    """Return where processor time is counted by groups: version 1, or version 2; None without."""
    for line in Path("/proc/mounts").read_text().splitlines():
        dummy, place, kind, options, *dummy_rest = line.split()
        words = options.split(",")
        counts = kind == "cgroup2" or (kind == "cgroup" and "cpuacct" in words)
        if counts and "rw" in words and os.access(place, os.W_OK):
            return Path(place)
    return None


def _move(pids: list[int], group: Path) -> None:
    for pid in pids:
        # It may have ended meanwhile.
        with contextlib.suppress(OSError):
            (group / "cgroup.procs").write_text(str(pid))


def _used(group: Path) -> float:
    version_1 = group / "cpuacct.usage"
    if version_1.exists():
        return int(version_1.read_text()) / 1e9
    lines = (group / "cpu.stat").read_text().splitlines()
    return next(int(line.split()[1]) / 1e6 for line in lines if line.startswith("usage_usec"))
