# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab: some hosts, the means to reach them, and the removal of all that it made."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from . import boot, cgroups, kinds, layer, namespace_host, network, ssh, state, trees
from .errors import HostsError, KindUnavailable, NoSuchHost, NoSuchLab
from .guard import Guard
from .host import BOOT_SECONDS, Host
from .namespace_host import NamespaceHost
from .plain_host import PlainHost
from .processes import HostProcess, ProcessId
from .programs import ALWAYS, call, ensure
from .spec import Spec
from .systemd_host import SystemdHost


class Lab:
    """Hosts that are up. `with Lab.up(count=2) as lab: lab["web1"].ssh("id")`."""

    #: Whether each task that takes a while has a pulse there.
    has_pulses = False

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.name = spec.name
        self.directory = spec.directory
        self._guard: Guard | None = None
        kind: type[NamespaceHost] | type[PlainHost] = NamespaceHost
        if spec.kind == kinds.PLAIN or spec.systemd:
            kind = SystemdHost if spec.systemd else PlainHost
        self._hosts: dict[str, Host] = {
            spec.host_name(number): kind(spec, number) for number in range(1, spec.count + 1)
        }

    @classmethod
    def up(
        cls,
        *,
        count: int = 2,
        name: str | None = None,
        kind: str = kinds.AUTO,
        base: str = trees.DEFAULT,
        python: bool = True,
        systemd: bool = False,
        packages: Sequence[str] = (),
        binds: Mapping[str, str] | None = None,
        owned: bool = True,
    ) -> Lab:
        """Bring a lab up. Every host answers on its ssh port when this returns.

        `base`: a Debian suite, or `machine` for this machine's own root. `python`: False hides
        Python on the hosts. `systemd`: it is their pid 1, and logind keeps their sessions;
        namespace hosts of a Debian suite only. `packages`: additional packages of that Debian
        suite; namespace hosts only. `binds`: directories of this machine that hosts
        see, and where. `owned`: the lab ends with this process, whatever ends the process. Raises
        KindUnavailable, PackagesMissing, HostsError.
        """
        kind = kinds.choose(kind)
        if kind == kinds.ROOTLESS:
            raise KindUnavailable(
                "a rootless lab can only be reached from inside: run this under `python -m "
                "tests.support.hosts run -- COMMAND`"
            )
        if kind == kinds.PLAIN and not python:
            raise KindUnavailable(
                "plain hosts have the machine's Python; hosts without one need root or a rootless "
                "lab"
            )
        if systemd and (kind != kinds.NAMESPACE or base == trees.MACHINE or state.in_area()):
            raise KindUnavailable("hosts with systemd need root, and a Debian tree")
        if packages and (kind != kinds.NAMESPACE or base == trees.MACHINE or state.in_area()):
            raise KindUnavailable("hosts with more packages need root, and a Debian tree")
        if not 1 <= count <= network.MAX_HOSTS:
            raise HostsError(f"a lab has 1 to {network.MAX_HOSTS} hosts, not {count}")
        ensure(*ALWAYS)
        root = Path("/")
        if kind == kinds.NAMESPACE:
            root = _root(base, packages, systemd=systemd)
        sweep()
        spec = _claim(
            Spec(
                name=name or f"lab-{secrets.token_hex(4)}",
                id=secrets.token_hex(8),
                kind=kind,
                count=count,
                base=str(root),
                network=0,
                python=python,
                systemd=systemd,
                binds=dict(binds or {}),
                owner=ProcessId.of(os.getpid()) if owned else None,
            )
        )
        lab = cls(spec)
        try:
            if owned:
                lab._guard = Guard(spec)
            lab._create()
        except BaseException:
            lab.down()
            raise
        return lab

    @classmethod
    def load(cls, name: str) -> Lab:
        """Return a lab that is up, also if another process brought it up. Raises NoSuchLab."""
        return cls(Spec.read(name))

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()

    def __getitem__(self, name: str) -> Host:
        try:
            return self._hosts[name]
        except KeyError:
            raise NoSuchHost(
                f"lab {self.name} has no host {name!r}, only {', '.join(self._hosts)}"
            ) from None

    def __iter__(self) -> Iterator[Host]:
        return iter(self._hosts.values())

    def __len__(self) -> int:
        return len(self._hosts)

    @property
    def inventory(self) -> Path:
        """Inventory file: `ansible -i INVENTORY all -m ping`."""
        return self.directory / "inventory"

    @property
    def ssh_config(self) -> Path:
        """Client configuration: `ssh -F SSH_CONFIG web1`."""
        return self.directory / "ssh_config"

    @property
    def key(self) -> Path:
        """Private key that opens every account."""
        return self.directory / "key"

    @property
    def known_hosts(self) -> Path:
        """The hosts' real keys."""
        return self.directory / "known_hosts"

    def processes(
        self, match: str = "", *, system: bool = False, zombies: bool = False
    ) -> dict[str, list[HostProcess]]:
        """Return what `processes` returns for each host that is on, by its name.

        All of it is from one look at the machine's process table.
        """
        on = [host for host in self if host.on]
        fast = [host for host in on if isinstance(host, NamespaceHost)]
        if len(fast) == len(on):
            return namespace_host.processes_of(fast, match, system=system, zombies=zombies)
        return {host.name: host.processes(match, system=system, zombies=zombies) for host in on}

    def _create(self) -> None:
        public_key = ssh.create_key(self.key)
        (self.directory / "disk").mkdir()
        if self.spec.kind == kinds.PLAIN:
            for host in self:
                assert isinstance(host, PlainHost)
                host.create()
                host.boot()
            host_key = (self.directory / "disk/host_key.pub").read_text()
        else:
            self._create_namespace_hosts(public_key)
            host_key = (self.directory / "disk/layer/etc/ssh/ssh_host_ed25519_key.pub").read_text()
        ssh.write_client_files(
            self.directory,
            [(host.name, host.address, host.port) for host in self],
            user=self["web1"].login,
            python=self["web1"].python or "/usr/bin/python3",
            host_key=host_key,
        )

    def _create_namespace_hosts(self, public_key: str) -> None:
        # In memory: overlays refuse some file systems, for example another overlay, as their upper
        # directory.
        call(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(self.directory / "disk")])
        names = "".join(f"{host.address} {host.name}\n" for host in self)
        (self.directory / "disk/layer").mkdir(mode=0o755)
        layer.write(
            self.directory / "disk/layer",
            Path(self.spec.base),
            public_key=public_key,
            hosts_file=f"127.0.0.1 localhost\n::1 localhost\n{names}",
        )
        self.spec.net.create_bridge()
        hosts = [host for host in self if isinstance(host, NamespaceHost)]
        for host in hosts:
            host.create_disk()
        boot.boot(hosts)
        for host in hosts:
            host.wait_until_up()

    def down(self) -> None:
        """End every host and remove all that the lab made.

        It is no error if the lab is down, or if another lab has its name.
        """
        try:
            Spec.read(self.name)
            with state.locked(self.directory):
                if Spec.read(self.name).id == self.spec.id:
                    self._remove()
        except NoSuchLab:
            pass  # Another process was faster.
        if self._guard:
            self._guard.dismiss()

    def _remove(self) -> None:
        deadline = time.monotonic() + BOOT_SECONDS
        # Processes first, the network last: so clients receive the end of their connection.
        victims = boot.leftovers(self.directory) if self.spec.kind == kinds.NAMESPACE else []
        inits = [host.init for host in self if isinstance(host, NamespaceHost) and host.on]
        for victim in inits + victims:
            victim.kill()
        for host in self:
            if isinstance(host, PlainHost):
                host.remove()
        alive = [victim.pid for victim in inits + victims if not victim.wait(deadline)]
        if self.spec.kind == kinds.NAMESPACE:
            self.spec.net.remove()
            if os.path.ismount(self.directory / "disk"):
                call(["umount", "--lazy", str(self.directory / "disk")])
        if self.spec.systemd:
            cgroups.remove(self.spec.id)
        shutil.rmtree(self.directory)
        if alive:
            raise HostsError(
                f"lab {self.name} is gone but for processes that do not die: "
                f"{', '.join(map(str, alive))}"
            )


def _root(base: str, packages: Sequence[str], *, systemd: bool) -> Path:
    """Return the root directory under namespace hosts."""
    if systemd:
        return trees.find_with_systemd(base, packages)
    return trees.find_with_packages(base, packages) if packages else trees.find(base)


def _claim(spec: Spec) -> Spec:
    """Make the lab's directory, and choose a network, which no other lab can then have."""
    base = state.base_directory()
    with state.locked(base / "lock"):
        if spec.directory.exists():
            raise HostsError(
                f"a lab {spec.name!r} is up already: `python -m tests.support.hosts down --lab "
                f"{spec.name}` ends it"
            )
        if spec.kind == kinds.NAMESPACE:
            used = {other.spec.network for other in labs() if other.spec.kind == kinds.NAMESPACE}
            # Numbers are taken in turn: an ssh client that still waits for an old lab must not meet
            # a new one at its address.
            turn = base / "next-network"
            spec = spec.with_network(network.pick_index(used, state.read_json(turn) or 0))
            state.write_json(turn, spec.network + 1)
        # Renamed when it is whole: a lab without its file could not be taken down.
        claim = base / "claim"
        shutil.rmtree(claim, ignore_errors=True)
        claim.mkdir(mode=0o700)
        spec.write(claim)
        spec.directory.parent.mkdir(exist_ok=True)
        claim.rename(spec.directory)
    return spec


def labs() -> list[Lab]:
    """Return every lab of this user that is up."""
    found = []
    for directory in sorted((state.base_directory() / "labs").glob("*")):
        try:
            found.append(Lab.load(directory.name))
        except NoSuchLab:
            continue  # It is being taken down at this moment.
    return found


def sweep() -> None:
    """End the labs whose owner is gone."""
    for lab in labs():
        if lab.spec.owner and not lab.spec.owner.alive():
            lab.down()
