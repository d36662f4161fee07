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
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from . import machine_root, processes, ssh, state, trees
from .accounts import ACCOUNTS
from .errors import HostIsOff, HostsError
from .host import BOOT_SECONDS, PAUSE, Host
from .processes import HostProcess, ProcessId
from .programs import in_user_namespace
from .spec import Spec

#: So many boot at once: more only wait for each other.
_AT_ONCE = 32

#: All that a host without Python lacks.
_PYTHONS = ("usr/bin/python*", "usr/local/bin/python*", "usr/libexec/platform-python*")

_ENVIRON = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}

_UNSHARE = ("unshare", "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--net", "--fork", "--kill-child")

#: In the environment of a host's `unshare` process: finds it even when its pid was never written down.
MARK = "HOSTS_BOOT"


class NamespaceHost(Host):
    """Host `number` of the lab: own processes, mounts, network, accounts, root, and a disk that survives power loss."""

    def __init__(self, spec: Spec, number: int) -> None:
        super().__init__(spec.directory, spec.host_name(number), spec.net.address(number), 22, "ansible")
        self.spec = spec
        self.number = number
        #: Its disk, and what boot.sh and the host's init need.
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
        content = state.read_json(self.directory / "init.json")
        init = ProcessId(**content) if content else None
        if init is None or not init.alive():
            raise HostIsOff(f"{self.name} has no power: boot it first")
        return init

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
        return next((path for path in ("/usr/bin/python3", "/usr/local/bin/python3") if (self.root / path.lstrip("/")).exists()), None)

    def processes(self, match: str = "", *, system: bool = False, zombies: bool = False) -> list[HostProcess]:
        return processes_of([self], match, system=system, zombies=zombies)[self.name]

    def exec_argv(self, argv: Sequence[str], *, user: str | None = None, environ: Mapping[str, str] | None = None) -> list[str]:
        account = ACCOUNTS[user or "root"]
        environ = {**_ENVIRON, "HOME": account.home, "USER": account.name, "LOGNAME": account.name, **(environ or {})}
        enter = ["nsenter", "--target", str(self.init.pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd"]
        identity = ["--setuid", str(account.uid), "--setgid", str(account.uid)]
        # nsenter, and then env, are the machine's and the host's: PATH decides only about argv[0].
        return [*enter, *identity, "--", "/usr/bin/env", "--default-signal", "-i", *(f"{name}={value}" for name, value in environ.items()), *argv]

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
        boot([self])

    def reset(self) -> None:
        self.heal()
        self._order("wipe")
        # Killed, but perhaps not dead yet.
        deadline = time.monotonic() + BOOT_SECONDS
        while self.processes():
            if time.monotonic() > deadline:
                raise HostsError(f"processes of {self.name} do not die: {', '.join(one.command for one in self.processes())}")
            time.sleep(PAUSE)
        ssh.wait_for_banner(self.address, self.port, time.monotonic() + BOOT_SECONDS)

    def hide_python(self) -> None:
        for pattern in _PYTHONS:
            for program in self.root.glob(pattern):
                program.unlink()

    @contextmanager
    def full_disk(self, path: str) -> Iterator[None]:
        self.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=1777", "tmpfs", path])
        try:
            with contextlib.suppress(OSError), open(self.root / path.lstrip("/") / "filler", "wb", buffering=0) as filler:
                while True:  # Until there is no space left.
                    filler.write(b"x" * 512)
            yield
        finally:
            self.run(["umount", "--lazy", path])

    def _order(self, order: str) -> None:
        """Give host-rc an order, and wait until it was carried out."""
        token, deadline = secrets.token_hex(8), time.monotonic() + BOOT_SECONDS
        answers = os.open(self.directory / "answers", os.O_RDWR)
        try:
            _write_order(self, f"{order} {token}\n")
            heard = b""
            while token.encode() not in heard:
                if not select.select([answers], [], [], max(0.0, deadline - time.monotonic()))[0]:
                    raise HostsError(f"{self.name} did not carry out {order} in time; see {self.directory}/boot.log")
                heard += os.read(answers, 4096)
        finally:
            os.close(answers)


def processes_of(hosts: Iterable[NamespaceHost], match: str, *, system: bool, zombies: bool) -> dict[str, list[HostProcess]]:
    """What `processes` says of each host, by its name, from one look at the machine's process table."""
    inits = {host.init.pid: host.name for host in hosts}
    names = {account.uid: account.name for account in ACCOUNTS.values()}
    depth = min(map(processes.depth_of, inits), default=1)  # The same for all.
    return {
        inits[init]: processes.select_processes(
            processes.read_host(init, pids, depth, lambda uid: names.get(uid, str(uid))), match, system=system, zombies=zombies,
        )
        for init, pids in processes.members(inits).items()
    }


def _write_order(host: NamespaceHost, line: str) -> None:
    try:
        # With nobody at the other end this fails at once.
        orders = os.open(host.directory / "orders", os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise HostIsOff(f"{host.name} has no power: boot it first") from error
        raise
    try:
        os.write(orders, line.encode())
    finally:
        os.close(orders)


class _Boot:
    """One host on its way up."""

    def __init__(self, host: NamespaceHost, init: Sequence[str], deadline: float) -> None:
        self.host = host
        self.deadline = deadline
        self.log = host.directory / "boot.log"
        self._heard = b""
        with open(self.log, "ab") as log:
            # setsid --fork: nobody waits for it, no terminal reaches it, and it outlives this process.
            self._starter = subprocess.Popen(
                ["setsid", "--fork", *_UNSHARE, "/bin/sh", str(Path(__file__).with_name("boot.sh"))],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd="/", env=_boot_environ(host, init), umask=0o022,
            )

    def expect(self, word: str) -> list[str]:
        """The words of the next line, which begins with `word`."""
        assert self._starter.stdout is not None
        descriptor = self._starter.stdout.fileno()
        while b"\n" not in self._heard:
            if not select.select([descriptor], [], [], max(0.0, self.deadline - time.monotonic()))[0]:
                raise HostsError(f"{self.host.name} does not boot: no {word!r} in time; {self._log_text()}")
            chunk = os.read(descriptor, 4096)
            if not chunk:
                raise HostsError(f"{self.host.name} does not boot: it ended before {word!r}; {self._log_text()}")
            self._heard += chunk
        line, dummy, self._heard = self._heard.partition(b"\n")
        words = line.decode().split()
        if words[:1] != [word]:
            raise HostsError(f"{self.host.name} does not boot: {line!r} instead of {word!r}; {self._log_text()}")
        return words

    def plugged(self) -> None:
        """Tell it that its port is there."""
        assert self._starter.stdin is not None
        self._starter.stdin.write(b"plugged\n")
        self._starter.stdin.close()

    def close(self) -> None:
        """Forget it; the host stays."""
        for stream in (self._starter.stdin, self._starter.stdout):
            if stream is not None:
                stream.close()
        self._starter.wait()

    def _log_text(self) -> str:
        return f"{self.log} says: {self.log.read_text(errors='replace').strip()}"


def boot(hosts: Sequence[NamespaceHost]) -> None:
    """Boot them all, and return when each answers on its port."""
    for first in range(0, len(hosts), _AT_ONCE):
        _boot_some(hosts[first:first + _AT_ONCE])


def _boot_some(hosts: Sequence[NamespaceHost]) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    init = trees.init_of(Path(hosts[0].spec.base))
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
        MARK: str(host.directory),
        "HOST_DIR": str(host.directory),
        "HOST_NAME": host.name,
        "HOST_ADDRESS": host.address,
        "HOST_LOWER": ":".join(path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,") for path in lower),
        "HOST_PARTS": " ".join(parts),
        # An index would refuse a disk whose last mount is still on its way out.
        "HOST_OVERLAY_OPTIONS": ",index=off" + (",userxattr" if in_user_namespace() else ""),
        "HOST_BINDS": "\n".join(f"{source} {target}" for source, target in spec.binds.items()),
        "HOST_INIT": " ".join(init),
    }


def leftovers(lab: Path) -> list[ProcessId]:
    """The `unshare` processes of the lab's hosts, found by their environment: with each its host dies."""
    found = []
    for pid in processes.all_pids():
        if ((processes.read_environ(pid) or {}).get(MARK) or "").startswith(f"{lab}/"):
            try:
                found.append(ProcessId.of(pid))
            except ProcessLookupError:
                continue  # Ended meanwhile.
    return found
