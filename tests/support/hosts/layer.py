# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a lab lays over the base tree: accounts, sshd, sudo, devices."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from . import machine_root, ssh
from .accounts import ACCOUNTS, PASSWORD_HASH, Account
from .programs import in_user_namespace
from .trees import MACHINE_ROOT

_SSHD = """\
Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
# Four times cheaper than the post-quantum default. paramiko knows it by its second name only.
KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org
PermitRootLogin prohibit-password
PasswordAuthentication yes
KbdInteractiveAuthentication no
UsePAM yes
UseDNS no
PrintMotd no
PrintLastLog no
MaxStartups 1000
MaxSessions 1000
MaxAuthTries 20
AcceptEnv LANG LC_*
SetEnv LANG=C.UTF-8
LogLevel VERBOSE
Subsystem sftp internal-sftp
"""

#: The other parts of sudo's configuration stay as the distribution ships them.
_SUDOERS = """\
ansible ALL=(ALL:ALL) NOPASSWD: ALL
secret ALL=(ALL:ALL) ALL
"""

#: For the machine's own root: its rules must not show on hosts.
_PLAIN_SUDOERS = """\
Defaults env_reset
Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
Defaults use_pty
root ALL=(ALL:ALL) ALL
@includedir /etc/sudoers.d
"""

_DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}


def write(layer: Path, base: Path, *, public_key: str, hosts_file: str) -> None:
    """Fill the empty directory `layer` for hosts on `base`.

    It gets a new host key, which all hosts of the lab share.
    """
    etc = _directory(layer / "etc")
    of_machine = base == MACHINE_ROOT
    if of_machine and in_user_namespace():
        machine_root.stand_in(layer)
    _accounts(etc, base / "etc")
    _file(etc / "hosts", hosts_file)
    for directory, mode in (
        ("etc/ssh", 0o755),
        ("etc/sudoers.d", 0o750),
        ("home", 0o755),
        ("root", 0o700),
    ):
        _directory(layer / directory, mode)
        if of_machine:
            machine_root.hide_below(layer / directory)
    ssh.create_key(etc / "ssh/ssh_host_ed25519_key")
    _file(etc / "ssh/sshd_config", _SSHD)
    if of_machine:
        _file(etc / "sudoers", _PLAIN_SUDOERS, 0o440)
    _file(etc / "sudoers.d/hosts", _SUDOERS, 0o440)
    for account in ACCOUNTS.values():
        _home(layer, account, public_key)
    _devices(_directory(layer / "dev"))
    for name in ("proc", "run", "sys", "mnt"):
        _directory(layer / name)
    _directory(layer / "tmp", 0o1777)
    for name in ("host-rc", "host-systemd"):
        _file(
            _directory(layer / "usr/local/sbin") / name,
            Path(__file__).with_name(name).read_text(),
            0o755,
        )
    # For the service of systemd, if that starts sshd.
    _file(_directory(etc / "default") / "ssh", "SSHD_OPTS='-E /var/log/sshd.log'\n")


def _accounts(etc: Path, base: Path) -> None:
    added = [account for account in ACCOUNTS.values() if account.uid]
    passwd = (base / "passwd").read_text().splitlines()
    _file(
        etc / "passwd",
        _lines(
            passwd + [f"{one.name}:x:{one.uid}:{one.uid}::{one.home}:/bin/bash" for one in added]
        ),
    )
    _file(
        etc / "group",
        _lines(
            (base / "group").read_text().splitlines()
            + [f"{one.name}:x:{one.uid}:" for one in added]
        ),
    )
    # An account of the base, root too, gets no password. `*` stands for none. `!` would lock the
    # account, and PAM would refuse its key.
    passwords = {line.partition(":")[0]: "*" for line in passwd} | {
        one.name: PASSWORD_HASH if one.password else "*" for one in added
    }
    _file(
        etc / "shadow",
        _lines(f"{name}:{password}:19000:0:99999:7:::" for name, password in passwords.items()),
        0o600,
    )


def _home(layer: Path, account: Account, public_key: str) -> None:
    home = layer / account.home.lstrip("/")
    keys = _directory(_directory(home, 0o700) / ".ssh", 0o700) / "authorized_keys"
    _file(keys, public_key, 0o600)
    for path in (home, keys.parent, keys):
        os.chown(path, account.uid, account.uid)


def _devices(directory: Path) -> None:
    for name, (major, minor) in _DEVICES.items():
        try:
            os.mknod(directory / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        except PermissionError:
            _file(
                directory / name, ""
            )  # In a user namespace, boot.sh binds the machine's device over it.
            continue
        (directory / name).chmod(0o666)
    _directory(directory / "pts")
    _directory(directory / "shm", 0o1777)
    for name, target in (
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
    ):
        (directory / name).symlink_to(target)


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _directory(path: Path, mode: int = 0o755) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    return path


def _file(path: Path, text: str, mode: int = 0o644) -> None:
    # Made with its final mode: a secret must not be readable for a moment.
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text)
    path.chmod(mode)
