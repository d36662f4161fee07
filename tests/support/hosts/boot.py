# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot of namespace hosts, many at once.

It also finds the remains of a boot that was not completed.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from . import cgroups, machine_root, processes, ssh, state, trees
from .errors import HostsError
from .host import BOOT_SECONDS
from .processes import ProcessId
from .programs import UNSHARE_HOST, in_user_namespace

if TYPE_CHECKING:
    from .namespace_host import NamespaceHost

#: Most hosts that boot at once: more would only wait for each other.
_AT_ONCE = 32

#: In the environment of a host's `unshare` process: it finds the process even if its pid was never
#: written down.
_MARK = "HOSTS_BOOT"


class _Boot:
    """One host that is being booted."""

    def __init__(self, host: NamespaceHost, init: Sequence[str], deadline: float) -> None:
        self.host = host
        self.deadline = deadline
        self.log = host.directory / "boot.log"
        self._heard = b""
        enter: list[str] = []
        if host.spec.systemd:
            # It enters the group before its namespace of control groups is made. The group that a
            # process is in then becomes the root of the groups that it sees.
            enter = ["/bin/sh", "-c", cgroups.ENTER, str(cgroups.create(host.spec.id, host.name))]
        with open(self.log, "ab") as log:
            # setsid --fork: no process waits for it, no terminal reaches it, and it outlives this
            # process.
            self._starter = subprocess.Popen(
                [
                    "setsid",
                    "--fork",
                    *enter,
                    *UNSHARE_HOST,
                    "/bin/sh",
                    str(Path(__file__).with_name("boot.sh")),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                env=_boot_environ(host, init),
                umask=0o022,
            )

    def expect(self, word: str) -> list[str]:
        """Return the words of the next line, which begins with `word`."""
        assert self._starter.stdout is not None
        descriptor = self._starter.stdout.fileno()
        while b"\n" not in self._heard:
            if not select.select([descriptor], [], [], max(0.0, self.deadline - time.monotonic()))[
                0
            ]:
                raise HostsError(
                    f"{self.host.name} does not boot: no {word!r} in time; {self._log_text()}"
                )
            chunk = os.read(descriptor, 4096)
            if not chunk:
                raise HostsError(
                    f"{self.host.name} does not boot: it ended before {word!r}; {self._log_text()}"
                )
            self._heard += chunk
        line, dummy, self._heard = self._heard.partition(b"\n")
        words = line.decode().split()
        if words[:1] != [word]:
            raise HostsError(
                f"{self.host.name} does not boot: {line!r} instead of {word!r}; {self._log_text()}"
            )
        return words

    def plugged(self) -> None:
        """Send it the message that its port is there."""
        assert self._starter.stdin is not None
        self._starter.stdin.write(b"plugged\n")
        self._starter.stdin.close()

    def close(self) -> None:
        """Forget it. The host stays."""
        for stream in (self._starter.stdin, self._starter.stdout):
            if stream is not None:
                stream.close()
        self._starter.wait()

    def _log_text(self) -> str:
        return f"{self.log} has: {self.log.read_text(errors='replace').strip()}"


def boot(hosts: Sequence[NamespaceHost]) -> None:
    """Boot them all, and return when each answers on its port."""
    for first in range(0, len(hosts), _AT_ONCE):
        _boot_some(hosts[first : first + _AT_ONCE])


def _boot_some(hosts: Sequence[NamespaceHost]) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    init = (
        ["/usr/local/sbin/host-systemd"]
        if hosts[0].spec.systemd
        else trees.init_of(Path(hosts[0].spec.base))
    )
    boots: list[_Boot] = []
    try:
        for host in hosts:
            boots.append(_Boot(host, init, deadline))
        ports = []
        for one in boots:
            pid = int(one.expect("ready")[1])
            state.write_json(one.host.directory / "init.json", asdict(ProcessId.of(pid)))
            ports.append((one.host.number, pid))
        hosts[0].spec.net.plug(ports)
        for one in boots:
            one.plugged()
        for one in boots:
            one.expect("networked")
    finally:
        for one in boots:
            one.close()
    for host in hosts:
        ssh.wait_for_banner(host.address, host.port, deadline)
        if not host.spec.python:
            host.hide_python()


def _boot_environ(host: NamespaceHost, init: Sequence[str]) -> dict[str, str]:
    spec = host.spec
    layer, parts = spec.directory / "disk/layer", machine_root.parts(Path(spec.base))
    lower = [str(layer)] if parts else [str(layer), spec.base]
    return {
        "PATH": os.environ["PATH"],
        _MARK: str(host.directory),
        "HOST_DIR": str(host.directory),
        "HOST_NAME": host.name,
        "HOST_ADDRESS": host.address,
        "HOST_LOWER": ":".join(
            path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,") for path in lower
        ),
        "HOST_PARTS": " ".join(parts),
        # With an index, the kernel would refuse a disk whose last mount is still being removed.
        "HOST_OVERLAY_OPTIONS": ",index=off" + (",userxattr" if in_user_namespace() else ""),
        "HOST_BINDS": "\n".join(f"{source} {target}" for source, target in spec.binds.items()),
        "HOST_INIT": " ".join(init),
        "HOST_SYSTEMD": "yes" if spec.systemd else "",
    }


def leftovers(lab: Path) -> list[ProcessId]:
    """Return the `unshare` processes of the lab's hosts, found by their environment.

    Each host dies with its own.
    """
    found = []
    for pid in processes.all_pids():
        if ((processes.read_environ(pid) or {}).get(_MARK) or "").startswith(f"{lab}/"):
            try:
                found.append(ProcessId.of(pid))
            except ProcessLookupError:
                continue  # It has ended meanwhile.
    return found
