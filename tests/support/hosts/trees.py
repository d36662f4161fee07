# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file system under every host: a cached Debian tree, or the machine's own root."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.environment._debian_python import mirror as debian_mirror

from . import state
from .errors import HostsError, PackagesMissing
from .programs import DEBIAN_KEYRING, call, ensure, in_user_namespace, warn

#: Name of the base that is the machine's own root.
MACHINE = "machine"
MACHINE_ROOT = Path("/")
#: Debian release of the usual base.
DEFAULT = "bookworm"

_SHELLS = ("tcsh", "csh", "zsh", "ksh93u+m", "fish")
#: Login shells that no Debian system has by itself.
_PACKAGES = (
    "openssh-server",
    "sudo",
    "python3",
    "iproute2",
    "procps",
    "tini",
    "opendoas",
    *_SHELLS,
    # What the module `apt` needs. Hosts have no network to install it by.
    "python3-apt",
)
#: Packages of a host whose pid 1 is systemd: logind, and a bus for the units of users.
_SYSTEMD_PACKAGES = ("systemd-sysv", "libpam-systemd", "dbus-user-session")


def find(base: str) -> Path:
    """Return the root directory of base `base`, made if it is not cached.

    `base`: `machine` or a Debian suite. Where a Debian tree can't be made, the reason is printed,
    and the machine's own root is returned.
    """
    if base != MACHINE:
        try:
            return _debian(base)
        except (HostsError, OSError) as error:
            warn(f"no {base} tree, the machine's own root serves instead: {error}")
    ensure("sshd", "sudo", "ps")
    if not _find_init(MACHINE_ROOT):
        ensure("tini")
    return MACHINE_ROOT


def find_with_systemd(suite: str, packages: Sequence[str] = ()) -> Path:
    """Return the root directory of a Debian release with systemd, made if it is not cached.

    `packages`: more of them. Raises HostsError, PackagesMissing.
    """
    return find_with_packages(suite, (*_SYSTEMD_PACKAGES, *packages))


def find_with_packages(suite: str, packages: Sequence[str]) -> Path:
    """Return the root directory of a Debian release with these packages, made if it is not cached.

    Raises HostsError, PackagesMissing.
    """
    plain, tree = _place(suite), _place(suite, packages)
    prepare(suite)
    _once(tree, lambda: _install(plain, packages, tree))
    return tree


def _debian(suite: str) -> Path:
    tree = _place(suite)
    if not tree.is_dir() and state.in_area():
        raise HostsError("it was not made before the rootless area was, which has no network")
    prepare(suite)
    return tree


def _place(suite: str, more: Sequence[str] = ()) -> Path:
    recipe = hashlib.sha256(" ".join((suite, *_PACKAGES, *more)).encode()).hexdigest()[:8]
    return state.cache_directory() / f"{suite}-{recipe}"


def prepare(suite: str) -> None:
    """Make the tree unless it is cached. Raises HostsError, PackagesMissing."""
    tree = _place(suite)
    _once(tree, lambda: _make(suite, tree))


def _once(tree: Path, make: Callable[[], None]) -> None:
    if not tree.is_dir():
        with state.locked(tree.with_name(f"{tree.name}.lock")):
            if not tree.is_dir():  # Another process has made it, while this one waited.
                make()


def _make(suite: str, tree: Path) -> None:
    ensure("debootstrap", DEBIAN_KEYRING)
    partial, log = tree.with_name(tree.name + ".partial"), tree.with_name(tree.name + ".log")
    shutil.rmtree(partial, ignore_errors=True)
    argv = [
        "debootstrap",
        "--force-check-gpg",
        "--variant=minbase",
        f"--include={','.join(_PACKAGES)}",
        suite,
        str(partial),
        debian_mirror(),
    ]
    environ = dict(os.environ)
    if in_user_namespace():
        environ["PATH"] = os.pathsep.join(
            [str(Path(__file__).with_name("rootless-bin")), environ["PATH"]]
        )
        # Its bind mounts are removed when it ends.
        argv = ["unshare", "--mount", *argv]
    warn(f"making the {suite} tree {tree}, once, about two minutes: {' '.join(argv)}")
    try:
        with open(log, "w") as output:
            status = subprocess.run(
                argv,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environ,
                check=False,
            ).returncode
        if status:
            last = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise HostsError(
                f"debootstrap failed with status {status}: {' '.join(last)} (all of it: {log})"
            )
        for rubbish in ("var/cache/apt", "var/lib/apt/lists"):
            shutil.rmtree(partial / rubbish)
        # It is bound over in a user namespace, so debootstrap could not remove it.
        (partial / "test-dev-null").unlink(missing_ok=True)
        partial.rename(tree)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


#: In namespaces of its own: no process that a package starts lives on, and no mount stays.
_INSTALL = """\
set -eu
mount -t proc proc "$1/proc"
cp /etc/resolv.conf "$1/etc/resolv.conf"
printf '#!/bin/sh\\nexit 101\\n' > "$1/usr/sbin/policy-rc.d"
chmod 755 "$1/usr/sbin/policy-rc.d"
tree=$1
shift
export DEBIAN_FRONTEND=noninteractive
chroot "$tree" apt-get --quiet update
chroot "$tree" apt-get --quiet --yes --no-install-recommends install "$@"
chroot "$tree" apt-get clean
rm "$tree/usr/sbin/policy-rc.d" "$tree/etc/resolv.conf"
"""


def _install(plain: Path, packages: Sequence[str], tree: Path) -> None:
    """Make a tree of another one and these packages.

    debootstrap would configure them in an order that some of them do not bear.
    """
    partial, log = tree.with_name(tree.name + ".partial"), tree.with_name(tree.name + ".log")
    shutil.rmtree(partial, ignore_errors=True)
    argv = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "sh",
        "-c",
        _INSTALL,
        "sh",
        str(partial),
        *packages,
    ]
    warn(f"making the tree {tree}, once, about a minute: {plain} with {', '.join(packages)}")
    try:
        call(["cp", "--archive", str(plain), str(partial)])
        with open(log, "w") as output:
            status = subprocess.run(
                argv, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False
            ).returncode
        if status:
            raise HostsError(f"apt-get failed with status {status}: {log} has the reason")
        shutil.rmtree(partial / "var/lib/apt/lists")
        partial.rename(tree)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def init_of(tree: Path) -> list[str]:
    """Return the command of pid 1. The script that it runs is appended to it."""
    init = _find_init(tree)
    if init is None:
        raise PackagesMissing(
            f"{tree} has no init that reaps orphans: install tini (or catatonit, or dumb-init)"
        )
    return [init, "--"]


def _find_init(tree: Path) -> str | None:
    for program in ("tini", "tini-static", "docker-init", "catatonit", "dumb-init"):
        for directory in ("usr/bin", "usr/sbin", "usr/local/bin", "usr/libexec/catatonit"):
            if os.access(tree / directory / program, os.X_OK):
                return f"/{directory}/{program}"
    return None
