# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts made of namespaces, an overlay and a port on the lab's bridge."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import select
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from . import boot, processes, ssh
from .accounts import ACCOUNTS
from .errors import HostIsOff, HostsError
from .host import BOOT_SECONDS, PAUSE, Host
from .processes import HostProcess, ProcessId
from .spec import Spec

#: All that a host without Python lacks.
_PYTHONS = ("usr/bin/python*", "usr/local/bin/python*", "usr/libexec/platform-python*")

_ENVIRON = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}


class NamespaceHost(Host):
    """Host `number` of the lab.

    It has its own processes, mounts, network, accounts, root, and a disk that survives power loss.
    """

    def __init__(self, spec: Spec, number: int) -> None:
        super().__init__(
            spec.directory, spec.host_name(number), spec.net.address(number), 22, "ansible"
        )
        self.spec = spec
        self.number = number
        #: It holds the disk, and what boot.sh and the host's init need.
        self.directory = spec.directory / "disk" / self.name

    def create_disk(self) -> None:
        """Make its empty disk."""
        for name in ("upper", "work", "root"):
            (self.directory / name).mkdir(parents=True)
            (self.directory / name).chmod(0o755)
        for name in ("orders", "answers"):
            os.mkfifo(self.directory / name, 0o600)

    @property
    def init(self) -> ProcessId:
        """Its pid 1, on this machine. Raises HostIsOff."""
        return self._recorded("init.json")

    @property
    def on(self) -> bool:
        try:
            return bool(self.init)
        except HostIsOff:
            return False

    @property
    def root(self) -> Path:
        return Path(f"/proc/{self.init.pid}/root")

    @property
    def sshd_log(self) -> Path:
        return self.directory / "upper/var/log/sshd.log"

    @property
    def python(self) -> str | None:
        return next(
            (
                path
                for path in ("/usr/bin/python3", "/usr/local/bin/python3")
                if (self.root / path.lstrip("/")).exists()
            ),
            None,
        )

    def processes(
        self, match: str = "", *, system: bool = False, zombies: bool = False
    ) -> list[HostProcess]:
        return processes_of([self], match, system=system, zombies=zombies)[self.name]

    def exec_argv(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> list[str]:
        account = ACCOUNTS[user or "root"]
        environ = {
            **_ENVIRON,
            "HOME": account.home,
            "USER": account.name,
            "LOGNAME": account.name,
            **(environ or {}),
        }
        enter = [
            "nsenter",
            "--target",
            str(self.init.pid),
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--cgroup",
            "--root",
            "--wd",
        ]
        identity = ["--setuid", str(account.uid), "--setgid", str(account.uid)]
        # The machine's PATH finds nsenter, and the host's PATH finds env. `PATH` decides only about
        # argv[0].
        return [
            *enter,
            *identity,
            "--",
            "/usr/bin/env",
            "--default-signal",
            "-i",
            *(f"{name}={value}" for name, value in environ.items()),
            *argv,
        ]

    def cut(self) -> None:
        self._set_link("down")

    def heal(self) -> None:
        self._set_link("up")

    def _set_link(self, link: str) -> None:
        if not self.on:
            raise HostIsOff(f"{self.name} has no power: boot it first")
        self.spec.net.set_link(self.number, link)

    def power_off(self) -> None:
        init = self.init
        self.spec.net.unplug(self.number)
        init.kill()
        if not init.wait(time.monotonic() + BOOT_SECONDS):
            raise HostsError(f"pid 1 of {self.name}, {init.pid} here, does not die")
        (self.directory / "init.json").unlink()

    def boot(self) -> None:
        if self.on:
            raise HostsError(f"{self.name} is on already")
        boot.boot([self])
        self.wait_until_up()
        self._wait_until_idle(time.monotonic() + BOOT_SECONDS)

    def wait_until_up(self) -> None:
        """Return when all of it has started. Its sshd answers already."""

    def reset(self) -> None:
        self.heal()
        self._order("wipe")
        deadline = time.monotonic() + BOOT_SECONDS
        ssh.wait_for_banner(self.address, self.port, deadline)
        self._wait_until_idle(deadline)

    def _wait_until_idle(self, deadline: float) -> None:
        """Return when it runs nothing.

        Killed processes may not be dead yet, and a process of sshd has sent us the banner.
        """
        while self.processes():
            if time.monotonic() > deadline:
                raise HostsError(
                    f"processes of {self.name} do not die: "
                    f"{', '.join(one.command for one in self.processes())}"
                )
            time.sleep(PAUSE)

    def hide_python(self) -> None:
        for pattern in _PYTHONS:
            for program in self.root.glob(pattern):
                program.unlink()

    @contextmanager
    def full_disk(self, path: str) -> Iterator[None]:
        self.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=1777", "tmpfs", path])
        try:
            with (
                contextlib.suppress(OSError),
                open(self.root / path.lstrip("/") / "filler", "wb", buffering=0) as filler,
            ):
                while True:  # Until there is no space left.
                    filler.write(b"x" * 512)
            yield
        finally:
            self.run(["umount", "--lazy", path])

    def _order(self, order: str) -> None:
        """Give host-rc an order, and wait until it has been carried out."""
        token, deadline = secrets.token_hex(8), time.monotonic() + BOOT_SECONDS
        answers = os.open(self.directory / "answers", os.O_RDWR)
        try:
            _write_order(self, f"{order} {token}\n")
            heard = b""
            while token.encode() not in heard:
                if not select.select([answers], [], [], max(0.0, deadline - time.monotonic()))[0]:
                    raise HostsError(
                        f"{self.name} did not carry out {order} in time; see "
                        f"{self.directory}/boot.log"
                    )
                heard += os.read(answers, 4096)
        finally:
            os.close(answers)


def processes_of(
    hosts: Iterable[NamespaceHost], match: str, *, system: bool, zombies: bool
) -> dict[str, list[HostProcess]]:
    """Return what `processes` returns for each host, by its name.

    All of it is from one look at the machine's process table.
    """
    inits = {host.init.pid: host.name for host in hosts}
    names = {account.uid: account.name for account in ACCOUNTS.values()}
    depth = min(map(processes.depth_of, inits), default=1)  # It is equal for all of them.
    return {
        inits[init]: processes.select_processes(
            processes.read_host(init, pids, depth, lambda uid: names.get(uid, str(uid))),
            match,
            system=system,
            zombies=zombies,
        )
        for init, pids in processes.members(inits).items()
    }


def _write_order(host: NamespaceHost, line: str) -> None:
    try:
        # If no process reads at the other end, this fails at once.
        orders = os.open(host.directory / "orders", os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise HostIsOff(f"{host.name} has no power: boot it first") from error
        raise
    try:
        os.write(orders, line.encode())
    finally:
        os.close(orders)
