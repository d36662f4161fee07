# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A chroot of this very machine as a test host.

Its processes are those of this machine that have its root directory.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NoReturn

from tests.support.hosts import ACCOUNTS, Host, HostProcess, processes
from tests.support.hosts.errors import HostsError
from tests.support.hosts.host import BOOT_SECONDS, PAUSE
from tests.support.hosts.programs import call
from tests.support.run.controller import MARK

from .root import merged

_ENVIRON = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}

#: Program that runs of the tests use as chroot. The mark in its environment would make a process
#: one of the controller.
PROGRAM = f'#!/bin/sh\nunset {MARK}\nexec chroot "$@"\n'


class Chroot(Host):
    """A directory with a root file system, and all processes that have it for their root."""

    def __init__(self, directory: Path, root: Path) -> None:
        super().__init__(directory, "web1", str(root), 0, "root")
        self._root = root

    @property
    def on(self) -> bool:
        return True

    @property
    def sshd_log(self) -> Path:
        raise HostsError("a chroot has no sshd")

    @property
    def python(self) -> str | None:
        return "/usr/bin/python3"

    @property
    def root(self) -> Path:
        return self._root

    def processes(
        self, match: str = "", *, system: bool = False, zombies: bool = False
    ) -> list[HostProcess]:
        names = {account.uid: account.name for account in ACCOUNTS.values()}
        inside = [pid for pid in processes.all_pids() if self._holds(pid)]
        return processes.select_processes(
            processes.read_table(inside, lambda uid: names.get(uid, str(uid))),
            match,
            system=system,
            zombies=zombies,
        )

    def _holds(self, pid: int) -> bool:
        try:
            return os.readlink(f"/proc/{pid}/root") == str(self._root)
        except OSError:
            return False  # It has ended.

    def exec_argv(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> list[str]:
        account = ACCOUNTS[user or "root"]
        words = {
            **_ENVIRON,
            "HOME": account.home,
            "USER": account.name,
            "LOGNAME": account.name,
            **(environ or {}),
        }
        enter = ["chroot", f"--userspec={account.uid}:{account.uid}", "--groups=", str(self._root)]
        return [
            *enter,
            "/usr/bin/env",
            "--default-signal",
            "-i",
            *(f"{name}={value}" for name, value in words.items()),
            *argv,
        ]

    def reset(self) -> None:
        deadline = time.monotonic() + BOOT_SECONDS
        while left := self.processes():
            for one in left:
                one.id.kill(signal.SIGKILL)
            if time.monotonic() > deadline:
                raise HostsError(
                    f"processes in {self._root} do not die: "
                    f"{', '.join(one.command for one in left)}"
                )
            time.sleep(PAUSE)
        self.run(["sh", "-c", "rm -rf /tmp/* /tmp/.[!.]*"])

    def cut(self) -> NoReturn:
        raise HostsError("a chroot has no network of its own")

    heal = power_off = boot = hide_python = cut

    def full_disk(self, path: str) -> AbstractContextManager[None]:
        raise HostsError("not needed in a chroot")


@contextmanager
def chroot() -> Iterator[tuple[Path, Chroot]]:
    """(directory, with the program `chroot`; the chroot). Raises KindUnavailable."""
    directory = Path(tempfile.mkdtemp(prefix="tk-chroot-", dir="/run"))
    try:
        (directory / "place").mkdir()
        with merged(directory / "place") as root:
            call(["mount", "-t", "proc", "proc", str(root / "proc")])
            call(
                [
                    "mount",
                    "-t",
                    "devpts",
                    "-o",
                    "newinstance,ptmxmode=0666,mode=620,gid=5",
                    "devpts",
                    str(root / "dev/pts"),
                ]
            )
            program = directory / "chroot"
            program.write_text(PROGRAM)
            program.chmod(0o755)
            host = Chroot(directory, root)
            try:
                yield directory, host
            finally:
                host.reset()
    finally:
        for path in (*directory.glob("*.json"), directory / "chroot"):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            (directory / "place").rmdir()
            directory.rmdir()
