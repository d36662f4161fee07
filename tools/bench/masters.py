# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Warm connections.

An OpenSSH ControlMaster for each host is opened before the measurement and closed at the end.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.support.hosts import Host, Lab


class Masters:
    """Masters of these hosts.

    `with Masters(lab, hosts) as masters: subprocess.run([*masters.ssh, host.address, "true"])`.
    """

    def __init__(self, lab: Lab, hosts: Sequence[Host]) -> None:
        self._hosts = hosts
        self._directory = Path(tempfile.mkdtemp(prefix="tk-", dir="/tmp"))
        self._path = f"ControlPath={self._directory}/%h"
        self._config = str(lab.ssh_config)
        #: The fastest client: it reads no configuration, and asks for no terminal.
        self.ssh = ["ssh", "-F", "none", "-T", "-o", self._path]

    def __enter__(self) -> Masters:
        for host in self._hosts:
            # -f: it returns when it has logged in.
            subprocess.run(
                ["ssh", "-F", self._config, "-o", self._path, "-fNM", host.address],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for host in self._hosts:
            subprocess.run(
                [*self.ssh, "-O", "exit", host.address], capture_output=True, check=False
            )
        shutil.rmtree(self._directory)
