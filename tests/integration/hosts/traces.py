# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traces of a lab on this machine, found without the lab's own code."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path

from tests.support.hosts import Lab


class Traces:
    """Search for processes, interfaces, mounts and files of one lab.

    Made while the lab is up, it still finds them afterwards.
    """

    def __init__(self, lab: Lab) -> None:
        self.directory = lab.directory
        self._bridge = lab.spec.net.bridge
        inits = [
            json.loads(file.read_text())["pid"] for file in lab.directory.glob("disk/*/init.json")
        ]
        self._namespaces: set[str] = set()
        for pid in inits:
            with contextlib.suppress(FileNotFoundError):  # A host that is off.
                self._namespaces |= {
                    os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("pid", "net", "mnt")
                }

    def find(self) -> list[str]:
        """Return all that is there, in words."""
        return [
            *self._processes(),
            *self._interfaces(),
            *self._mounts(),
            *(str(path) for path in [self.directory] if path.exists()),
        ]

    def _processes(self) -> list[str]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                namespaces = {os.readlink(process / "ns" / kind) for kind in ("pid", "net", "mnt")}
                words = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            except OSError:
                continue  # It has ended meanwhile.
            # This process and its children name the lab as well, but not in their environment or
            # arguments.
            if namespaces & self._namespaces or os.fsencode(self.directory) in words:
                found.append(f"process {process.name}")
        return found

    def _interfaces(self) -> list[str]:
        links = json.loads(
            subprocess.run(["ip", "-json", "link"], capture_output=True, check=True).stdout
        )
        return [
            link["ifname"]
            for link in links
            if link["ifname"] == self._bridge or link["ifname"].startswith(f"{self._bridge}p")
        ]

    def _mounts(self) -> list[str]:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        return [line for line in lines if str(self.directory) in line]
