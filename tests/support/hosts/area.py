# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rootless areas: namespaces in which an ordinary user is root, makes labs, and reaches them.

Labs in an area can't be reached from outside. An area is held by its pid 1, which runs this file.
It ends with that process: killing it leaves only a directory.
"""

from __future__ import annotations

import os
import secrets
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict

from . import processes, state, trees
from .errors import HostsError
from .host import BOOT_SECONDS
from .processes import ProcessId
from .programs import SELF, call

_WITH_NETWORK = (
    "unshare",
    "--user",
    "--map-auto",
    "--map-root-user",
    "--mount",
    "--pid",
    "--cgroup",
    "--fork",
    "--kill-child",
    "--mount-proc",
)
UNSHARE = (*_WITH_NETWORK, "--net")


class Area:
    """One area of this user. `name` is that of the lab in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.directory = state.area_directory(name)
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def open(cls, name: str | None = None) -> Area:
        """Make an area; without a name, one that ends with this process."""
        owned = name is None
        area = cls(name or f"run-{secrets.token_hex(4)}")
        if area.init:
            raise HostsError(
                f"a lab {area.name!r} is up already: `python -m tests.support.hosts down --lab "
                f"{area.name}` ends it"
            )
        area.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Its pid 1 reads the pipe. The other end is ours, so the kernel closes it, whatever ends
        # us.
        argv = [*UNSHARE, *SELF, "hold", "until-eof" if owned else "for-ever"]
        log = area.directory / "log"
        with open(log, "w") as errors:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if owned else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                cwd="/",
                env={**os.environ, state.AREA_VARIABLE: str(area.directory)},
            )
        area._process = process
        assert process.stdout is not None
        with process.stdout as said:
            if not select.select([said], [], [], BOOT_SECONDS)[0] or said.readline() != b"ready\n":
                process.kill()
                problem = log.read_text()
                area.close()
                raise HostsError(f"the rootless area did not come up, its log has: {problem}")
        children = processes.descendants(process.pid) - {process.pid}
        state.write_json(area.directory / "area.json", asdict(ProcessId.of(children.pop())))
        return area

    @property
    def init(self) -> ProcessId | None:
        """Its pid 1; None if there is no such area."""
        content = state.read_json(self.directory / "area.json")
        init = ProcessId(**content) if content else None
        return init if init and init.alive() else None

    def enter_argv(self, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs `argv` inside, in the current directory.

        Raises HostsError if there is no such area.
        """
        if self.init is None:
            raise HostsError(f"the rootless area {self.name!r} is gone")
        enter = [
            "nsenter",
            "--target",
            str(self.init.pid),
            "--user",
            "--preserve-credentials",
            "--net",
            "--mount",
            "--pid",
            "--cgroup",
        ]
        return [
            *enter,
            "--",
            "env",
            f"--chdir={os.getcwd()}",
            f"{state.AREA_VARIABLE}={self.directory}",
            *argv,
        ]

    def close(self) -> None:
        """End the area and all that runs in it."""
        init = self.init
        if init:
            init.kill()
            if not init.wait(time.monotonic() + BOOT_SECONDS):
                raise HostsError(
                    f"pid 1 of the rootless area {self.name}, {init.pid} here, does not die"
                )
        if self._process:
            if self._process.stdin:
                self._process.stdin.close()
            self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def prepare_tree(base: str) -> None:
    """Make the tree of a base in the form that rootless labs need.

    A failure is printed only: the lab that needs the tree raises it.
    """
    if base != trees.MACHINE:
        environ = {**os.environ, state.AREA_VARIABLE: str(state.base_directory())}
        subprocess.run(
            [*_WITH_NETWORK, *SELF, "tree", base],
            env=environ,
            stdin=subprocess.DEVNULL,
            check=False,
        )


def areas() -> list[Area]:
    """Return the areas of this user, and remove the remains of dead ones."""
    found = [
        Area(directory.name) for directory in sorted(state.area_directory("x").parent.glob("*"))
    ]
    for area in found:
        # An area without the file is being made.
        if area.init is None and (area.directory / "area.json").exists():
            area.close()
    return [area for area in found if area.init]


def hold(until: str) -> int:
    """Be pid 1 of an area: reap orphans, and stay.

    `until-eof`: stay until the standard input ends. `for-ever`: until it is killed.
    """
    call(["ip", "link", "set", "lo", "up"])
    # Not set earlier: it would reap a child that other code waits for.
    signal.signal(signal.SIGCHLD, lambda *dummy: _reap())
    os.write(1, b"ready\n")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    while until == "for-ever":
        signal.pause()
    while os.read(0, 1):
        pass
    return 0


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass  # None is left.
