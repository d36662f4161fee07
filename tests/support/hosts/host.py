# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One test host of any kind: reach it over ssh, look at it from outside, break it and mend it."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from . import state
from .accounts import ACCOUNTS
from .errors import HostIsOff, HostsError
from .processes import HostProcess, ProcessId, descendants

#: Seconds within which a host has to come up.
BOOT_SECONDS = 60.0

#: Seconds between two looks at what can only be polled.
PAUSE = 0.005

#: In the environment of what `spawn` has started.
_SPAWN_MARK = "HOSTS_SPAWN"


class Host(ABC):
    """A host of a lab. Get one with `lab["web1"]`."""

    #: Its state, on this machine.
    directory: Path

    def __init__(self, lab: Path, name: str, address: str, port: int, login: str) -> None:
        self.lab = lab
        self.name = name
        self.address = address
        self.port = port
        self.login = login

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.address}:{self.port}>"

    def _recorded(self, file: str) -> ProcessId:
        """Return the process that this file in its directory names. Raises HostIsOff."""
        content = state.read_json(self.directory / file)
        process = ProcessId(**content) if content else None
        if process is None or not process.alive():
            raise HostIsOff(f"{self.name} has no power: boot it first")
        return process

    def ssh_argv(self, account: str | None = None, *options: str) -> list[str]:
        """Return the ssh command line up to the host name.

        `account`: None is the lab's usual login.
        """
        return [
            "ssh",
            "-F",
            str(self.lab / "ssh_config"),
            "-l",
            account or self.login,
            *options,
            self.name,
        ]

    def ssh(
        self,
        command: str,
        *,
        account: str | None = None,
        password: bool = False,
        options: Sequence[str] = (),
        stdin: str = "",
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command over ssh.

        It logs in with the lab's key, or with the account's password if `password` is true.
        """
        argv, environ = self.ssh_argv(account, "-o", "BatchMode=yes", *options), dict(os.environ)
        if password:
            secret = ACCOUNTS[account or self.login].password
            if secret is None:
                raise HostsError(f"{account} has no password, `secret` has")
            # In the environment, because every user can read the process list.
            argv = [
                "sshpass",
                "-e",
                *self.ssh_argv(
                    account,
                    "-o",
                    "PubkeyAuthentication=no",
                    "-o",
                    "NumberOfPasswordPrompts=1",
                    *options,
                ),
            ]
            environ["SSHPASS"] = secret
        return subprocess.run(
            [*argv, command],
            input=stdin,
            env=environ,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    @property
    @abstractmethod
    def on(self) -> bool:
        """Whether it has power."""

    @property
    @abstractmethod
    def sshd_log(self) -> Path:
        """Return what its sshd logs."""

    @property
    @abstractmethod
    def python(self) -> str | None:
        """Path of its Python; None if it has none."""

    @property
    @abstractmethod
    def root(self) -> Path:
        """Its file system, seen from this machine, while the host is on.

        Absolute links in it mislead: they resolve on this machine. Raises HostIsOff.
        """

    @abstractmethod
    def processes(
        self, match: str = "", *, system: bool = False, zombies: bool = False
    ) -> list[HostProcess]:
        """Return its processes whose command line has the regular expression `match`.

        Read from the machine's kernel. Without `system`, those that make the host are left out:
        init, sshd and its session processes.
        """

    @abstractmethod
    def exec_argv(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Return the command line of this machine that runs `argv` on the host, without ssh.

        It has a clean environment and `environ`. `user`: an account; None is root, or on a plain
        host its only account.
        """

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        stdin: str = "",
        environ: Mapping[str, str] | None = None,
        timeout: float = 60,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on it, as `exec_argv` does.

        Raises HostsError if the program fails, unless `check` is false.
        """
        command = self.exec_argv(argv, user=user, environ=environ)
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate(stdin, timeout)
            except BaseException:
                # The program is below nsenter, which does not end its child. The program's children
                # are below it.
                for pid in descendants(process.pid):
                    with contextlib.suppress(ProcessLookupError):
                        ProcessId.of(pid).kill()
                raise
        if check and process.returncode:
            raise HostsError(
                f"{' '.join(argv)} on {self.name} failed with status {process.returncode}: "
                f"{(err or out).strip()}"
            )
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def spawn(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> HostProcess:
        """Start a daemon on it and return it when it runs.

        It has a session of its own, and is a child of pid 1.
        """
        token, wanted = secrets.token_hex(8), " ".join(argv)
        # setsid forks by itself: a shell's & would make it ignore SIGINT.
        detached = [
            "setsid",
            "--fork",
            "sh",
            "-c",
            'exec "$@" < /dev/null > /dev/null 2>&1',
            "sh",
            *argv,
        ]
        self.run(detached, user=user, environ={**(environ or {}), _SPAWN_MARK: token})
        deadline = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < deadline:
            for one in self.processes():
                if (one.environ or {}).get(_SPAWN_MARK) == token and one.command == wanted:
                    return one
            time.sleep(PAUSE)
        raise HostsError(f"{wanted} did not appear on {self.name}: it failed, or ended at once")

    @abstractmethod
    def cut(self) -> None:
        """Cut its network."""

    @abstractmethod
    def heal(self) -> None:
        """Give its network back."""

    @abstractmethod
    def power_off(self) -> None:
        """Cut the power: no packet leaves the host, and pid 1 and all its processes die.

        Its disk stays.
        """

    @abstractmethod
    def boot(self) -> None:
        """Switch the power on, and wait until sshd answers."""

    @abstractmethod
    def reset(self) -> None:
        """Make it a clean host, quickly.

        All processes are killed, /tmp is emptied, the network is whole, and a new sshd answers.
        """

    @abstractmethod
    def hide_python(self) -> None:
        """Take its Python away, for good."""

    @abstractmethod
    def full_disk(self, path: str) -> AbstractContextManager[None]:
        """Mount a full file system over the directory `path`, for a `with` block."""
