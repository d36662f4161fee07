# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of this machine.

They are run with errors that have what happened, and installed if they are missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.environment import _system_packages as system_packages
from tools.environment._commands import SetupError

from . import state
from .errors import HostsError, PackagesMissing

# Users' PATH has no sbin on Debian.
os.environ["PATH"] = os.pathsep.join(
    [os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"]
)

_REPOSITORY = Path(__file__).resolve().parents[3]

#: The command line of this package, from any directory and with the present environment. Arguments
#: are appended.
SELF = (
    sys.executable,
    "-c",
    (
        f"import sys; sys.path.insert(0, {str(_REPOSITORY)!r}); "
        "from tests.support.hosts.cli import main; sys.exit(main(sys.argv[1:]))"
    ),
)

#: It makes the namespaces of a host. Another command line is appended.
UNSHARE_HOST = (
    "unshare",
    "--pid",
    "--mount",
    "--uts",
    "--ipc",
    "--cgroup",
    "--net",
    "--fork",
    "--kill-child",
)

#: With it debootstrap checks what it downloads.
DEBIAN_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

_NEEDS = {
    need.program: need
    for need in (
        system_packages.Need("ssh", {"apt-get": "openssh-client", "dnf": "openssh-clients"}),
        system_packages.Need("ssh-keygen", {"apt-get": "openssh-client", "dnf": "openssh-clients"}),
        system_packages.Need("sshd", {"apt-get": "openssh-server", "dnf": "openssh-server"}),
        system_packages.Need("sshpass", {"apt-get": "sshpass", "dnf": "sshpass"}),
        system_packages.Need("sudo", {"apt-get": "sudo", "dnf": "sudo"}),
        system_packages.Need("ps", {"apt-get": "procps", "dnf": "procps-ng"}),
        system_packages.Need("ip", {"apt-get": "iproute2", "dnf": "iproute"}),
        system_packages.Need("unshare", {"apt-get": "util-linux", "dnf": "util-linux"}),
        system_packages.Need("nsenter", {"apt-get": "util-linux", "dnf": "util-linux"}),
        system_packages.Need("setsid", {"apt-get": "util-linux", "dnf": "util-linux"}),
        system_packages.Need("mount", {"apt-get": "mount", "dnf": "util-linux"}),
        system_packages.Need("tini", {"apt-get": "tini", "dnf": "tini"}),
        system_packages.Need("hostname", {"apt-get": "hostname", "dnf": "hostname"}),
        system_packages.Need("newuidmap", {"apt-get": "uidmap", "dnf": "shadow-utils"}),
        system_packages.Need("dockerd", {"apt-get": "docker.io", "dnf": "moby-engine"}),
        system_packages.Need("docker", {"apt-get": "docker.io", "dnf": "moby-engine"}),
        system_packages.Need("podman", {"apt-get": "podman", "dnf": "podman"}),
        system_packages.Need("runc", {"apt-get": "runc", "dnf": "runc"}),
        # Fedora has neither.
        system_packages.Need("lxd", {"apt-get": "lxd"}),
        system_packages.Need("lxc", {"apt-get": "lxd-client"}),
        system_packages.Need("lxc-start", {"apt-get": "lxc", "dnf": "lxc"}),
        system_packages.Need(
            "/usr/include/lxc/lxccontainer.h", {"apt-get": "lxc-dev", "dnf": "lxc-devel"}
        ),
        system_packages.Need("/bin/busybox", {"apt-get": "busybox-static", "dnf": "busybox"}),
        system_packages.Need("dropbear", {"apt-get": "dropbear-bin", "dnf": "dropbear"}),
        system_packages.Need("debootstrap", {"apt-get": "debootstrap", "dnf": "debootstrap"}),
        system_packages.Need(
            DEBIAN_KEYRING, {"apt-get": "debian-archive-keyring", "dnf": "debian-keyring"}
        ),
    )
}

#: Programs that every kind of host needs.
ALWAYS = ("ssh", "ssh-keygen", "sshpass")
#: Programs that namespaces need besides.
FOR_NAMESPACES = ("unshare", "nsenter", "setsid", "mount", "ip")


def ensure(*names: str) -> None:
    """Install the missing ones of these programs as root.

    Otherwise raise PackagesMissing, which names the packages.
    """
    missing = [
        _NEEDS[name]
        for name in names
        if not (os.path.exists(name) if name.startswith("/") else shutil.which(name))
    ]
    if missing and state.in_area():
        raise PackagesMissing(
            "test hosts need more programs, to be installed as the machine's root: "
            f"{', '.join(need.program for need in missing)}"
        )
    try:
        # A package that has several of the programs is named once.
        system_packages.install(list({str(need.packages): need for need in missing}.values()))
    except SetupError as error:
        raise PackagesMissing(f"test hosts need more programs. {error}") from error


def warn(text: str) -> None:
    """Print a line for the person that started the hosts."""
    sys.stderr.write(f"hosts: {text}\n")


def call(argv: Sequence[str], *, stdin: str = "", environ: Mapping[str, str] | None = None) -> str:
    """Run a program of this machine, and return its standard output.

    Raises HostsError with the program's own words if it fails.
    """
    done = subprocess.run(
        argv, input=stdin, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise HostsError(
            f"{' '.join(argv)} failed with status {done.returncode}: "
            f"{(done.stderr or done.stdout).strip()}"
        )
    return done.stdout


def in_user_namespace() -> bool:
    """Whether uid 0 here is not the machine's root."""
    return Path("/proc/self/uid_map").read_text().split() != ["0", "0", "4294967295"]
