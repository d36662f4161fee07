# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that is only an sshd of the caller's own, on a high port of 127.0.0.1.

It is used if no other kind can run. It has the caller's account alone, the machine's files, and the
machine's process table. Its processes are recognised by their parents and by a mark in the
environment. So a daemon that cleared its environment is not seen once its parent is gone.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

from . import processes, ssh, state
from .errors import HostIsOff, HostsError, NotPossibleHere
from .host import BOOT_SECONDS, PAUSE, Host
from .processes import HostProcess, ProcessId
from .programs import ensure
from .spec import Spec

_ADDRESS = "127.0.0.1"

#: In the environment of all that such a host runs. Its value is the directory of the host.
_MARK = "HOSTS_PLAIN"

#: Compiled into sshd.
_PRIVSEP = Path("/run/sshd")

_SSHD = """\
ListenAddress {address}:{port}
HostKey {lab}/disk/host_key
AuthorizedKeysFile {lab}/key.pub
PidFile {directory}/sshd.pid
AllowUsers {login}
# None of these works without root.
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
# Directories above the lab may belong to any user.
StrictModes no
UseDNS no
PrintMotd no
PrintLastLog no
MaxStartups 1000
MaxSessions 1000
KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org
AcceptEnv LANG LC_*
SetEnv LANG=C.UTF-8 {mark}={directory}
LogLevel VERBOSE
Subsystem sftp internal-sftp
"""


class PlainHost(Host):
    """Host `number` of the lab, without network, disk, or accounts of its own."""

    def __init__(self, spec: Spec, number: int) -> None:
        name = spec.host_name(number)
        self.directory = spec.directory / "disk" / name
        port = state.read_json(self.directory / "port.json") or 0
        super().__init__(spec.directory, name, _ADDRESS, port, pwd.getpwuid(os.geteuid()).pw_name)

    def create(self) -> None:
        """Choose its port and write its configuration."""
        ensure("sshd")
        self.directory.mkdir(parents=True)
        host_key = self.lab / "disk/host_key"
        if not host_key.exists():
            ssh.create_key(host_key)
        with socket.socket() as probe:
            probe.bind((_ADDRESS, 0))
            self.port = probe.getsockname()[1]
        state.write_json(self.directory / "port.json", self.port)
        config = _SSHD.format(
            address=_ADDRESS,
            port=self.port,
            lab=self.lab,
            directory=self.directory,
            login=self.login,
            mark=_MARK,
        )
        (self.directory / "sshd_config").write_text(config)

    @property
    def _listener(self) -> ProcessId:
        return self._recorded("listener.json")

    @property
    def on(self) -> bool:
        try:
            return bool(self._listener)
        except HostIsOff:
            return False

    @property
    def root(self) -> Path:
        return Path("/")

    @property
    def sshd_log(self) -> Path:
        return self.directory / "sshd.log"

    @property
    def python(self) -> str | None:
        return sys.executable

    def processes(
        self, match: str = "", *, system: bool = False, zombies: bool = False
    ) -> list[HostProcess]:
        return processes.select_processes(self._table(), match, system=system, zombies=zombies)

    def _table(self) -> list[HostProcess]:
        content = state.read_json(self.directory / "listener.json")
        mine = (
            processes.descendants(content["pid"])
            if content and ProcessId(**content).alive()
            else set()
        )
        mark = str(self.directory)
        mine |= {
            pid
            for pid in processes.all_pids()
            if (processes.read_environ(pid) or {}).get(_MARK) == mark
        }
        return processes.read_table(mine, _user_name)

    def exec_argv(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> list[str]:
        if user not in (None, self.login):
            raise NotPossibleHere(
                f"{self.name} is a plain host: it has no account {user}, only {self.login}"
            )
        account = pwd.getpwnam(self.login)
        environ = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": account.pw_dir,
            "USER": self.login,
            "LOGNAME": self.login,
            **(environ or {}),
            _MARK: str(self.directory),
        }
        return [
            "env",
            "--default-signal",
            "-i",
            *(f"{name}={value}" for name, value in environ.items()),
            *argv,
        ]

    def cut(self) -> None:
        raise NotPossibleHere(f"{self.name} is a plain host: it has no network of its own to cut")

    def heal(self) -> None:
        raise NotPossibleHere(f"{self.name} is a plain host: it has no network of its own to heal")

    def power_off(self) -> None:
        """Kill all its processes.

        Other kinds lose their connections silently. Here the machine's kernel still closes them.
        """
        if not self.on:
            raise HostIsOff(f"{self.name} has no power already")
        self._end(spare=None)
        (self.directory / "listener.json").unlink()

    def boot(self) -> None:
        if self.on:
            raise HostsError(f"{self.name} is on already")
        deadline = time.monotonic() + BOOT_SECONDS
        sshd = shutil.which("sshd")
        assert sshd is not None, "create() has seen to it"
        environ = {"PATH": os.environ["PATH"], _MARK: str(self.directory)}
        if os.geteuid() == 0:
            # Debian's service makes it. Where that never ran, sshd refuses to start as root.
            with contextlib.suppress(FileExistsError):
                _PRIVSEP.mkdir()
                (self.directory / "made-privsep").touch()
        # sshd executes itself again, so its path must be absolute. It makes itself a daemon.
        argv = [
            "env",
            "--default-signal",
            sshd,
            "-f",
            str(self.directory / "sshd_config"),
            "-E",
            str(self.sshd_log),
        ]
        started = subprocess.run(
            argv, env=environ, cwd="/", capture_output=True, text=True, check=False
        )
        if started.returncode:
            raise HostsError(
                f"sshd of {self.name} does not start: {started.stderr.strip()} "
                f"{self.sshd_log.read_text()}"
            )
        ssh.wait_for_banner(self.address, self.port, deadline)
        # Written before it listens, and so before the banner.
        state.write_json(
            self.directory / "listener.json",
            asdict(ProcessId.of(int((self.directory / "sshd.pid").read_text()))),
        )

    def reset(self) -> None:
        self._end(spare=self._listener)

    def remove(self) -> None:
        """End all that it runs."""
        self._end(spare=None)
        if (self.directory / "made-privsep").exists():
            _PRIVSEP.rmdir()

    def _end(self, spare: ProcessId | None) -> None:
        """Kill all its processes but `spare`, and look again until there are none."""
        deadline = time.monotonic() + BOOT_SECONDS
        while True:
            victims = [one for one in self._table() if one.state not in "ZX" and one.id != spare]
            if not victims:
                return
            if time.monotonic() > deadline:
                raise HostsError(
                    f"processes of {self.name} do not die: "
                    f"{', '.join(one.command for one in victims)}"
                )
            for one in victims:
                one.id.kill()
            time.sleep(PAUSE)

    def hide_python(self) -> None:
        raise NotPossibleHere(f"{self.name} is a plain host: its Python is the machine's")

    def full_disk(self, path: str) -> AbstractContextManager[None]:
        raise NotPossibleHere(f"{self.name} is a plain host: {path} is the machine's")


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
