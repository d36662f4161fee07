# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages of the operating system.

root installs them on Debian and Fedora families. Otherwise they are named.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import Sequence

from ._commands import SetupError, clean_environment, run, say
from ._lock import locked


@dataclass(frozen=True)
class Need:
    """A program that has to be there, and its package for each package tool."""

    program: str
    packages: dict[str, str]


NEEDS = (
    Need("git", {"apt-get": "git", "dnf": "git-core"}),
    Need("ssh", {"apt-get": "openssh-client", "dnf": "openssh-clients"}),
    Need("sshpass", {"apt-get": "sshpass", "dnf": "sshpass"}),
)
#: Programs of the hosts that tests make for an ordinary user, which can't install them.
AS_ROOT = (
    Need("sshd", {"apt-get": "openssh-server", "dnf": "openssh-server"}),
    Need("sudo", {"apt-get": "sudo", "dnf": "sudo"}),
    Need("newuidmap", {"apt-get": "uidmap", "dnf": "shadow-utils"}),
    Need("tini", {"apt-get": "tini", "dnf": "tini"}),
)
SHELLCHECK = Need("shellcheck", {"apt-get": "shellcheck", "dnf": "ShellCheck"})
VENV = Need("a Python with venv and ensurepip", {"apt-get": "python3-venv", "dnf": "python3"})


def ensure_programs() -> None:
    """Install the missing ones of NEEDS; as root those of AS_ROOT as well."""
    wanted = (*NEEDS, *AS_ROOT) if os.geteuid() == 0 else NEEDS
    install([need for need in wanted if shutil.which(need.program) is None])


def try_to_install(need: Need) -> Sequence[str]:
    """Install what can be done without. A note names what is not there."""
    if shutil.which(need.program):
        return ()
    try:
        install([need])
    except SetupError as error:
        return (str(error).splitlines()[-1],)
    return ()


def install(needs: Sequence[Need]) -> None:
    """Install the packages of these needs, or raise SetupError that names them."""
    if not needs:
        return
    tool = next((name for name in ("apt-get", "dnf") if shutil.which(name)), None)
    missing = ", ".join(need.program for need in needs)
    if tool is None:
        raise SetupError(
            f"missing: {missing}. Install them; this machine has neither apt-get nor dnf."
        )
    packages = [need.packages[tool] for need in needs]
    command = [tool, "install", "-y", *packages]
    if os.geteuid() != 0:
        raise SetupError(f"missing: {missing}. As root: {' '.join(command)}")
    with locked("packages"):
        # Another command may have installed them meanwhile, and apt-get does not wait for its lock.
        if all(shutil.which(need.program) for need in needs):
            return
        say(f"installing {' '.join(packages)}")
        for step in [*preparation(tool), command]:
            run(step, env=clean_environment(DEBIAN_FRONTEND="noninteractive"))


def preparation(tool: str) -> list[list[str]]:
    """Return what has to run before an installation: a fresh Debian image has no package lists."""
    return [["apt-get", "update"]] if tool == "apt-get" else []
