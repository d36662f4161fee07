# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host without Python: it has only busybox, and dropbear for its ssh server.

It has namespaces of its own but for the network.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.hosts import ACCOUNTS, ssh
from tests.support.hosts.host import BOOT_SECONDS
from tests.support.hosts.programs import call, ensure

from .containers import MARK, Container, TransportLab
from .undoing import SIGNAL_CHILD, Undoing

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

#: $1: its directory, $2: its mark. With pid 1 all processes in the namespaces end.
_START = f"""
unshare --pid --mount --uts --ipc --fork --kill-child sh -c '
    mount -t proc proc "$1/root/proc"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$1/root/dev/pts"
    exec env -i PATH={_PATH} {MARK}="$2" chroot "$1/root" /sbin/init
' busybox "$1" "$2" &
host=$!
"""
_END = SIGNAL_CHILD + 'signal_child 9 "$host"\nwait\nrm -rf "$1"\n'

_DEVICES = {"null": (1, 3), "zero": (1, 5), "urandom": (1, 9), "tty": (5, 0)}
_LOGINS = ("root", "ansible")


class Busybox(Container):
    """The host. Its programs are busybox's, which take fewer options than those of other hosts."""

    def __init__(self, directory: Path, port: int) -> None:
        super().__init__(directory, "web1", str(directory))
        self.address, self.port = "127.0.0.1", port
        self._mark = str(directory)

    @property
    def python(self) -> None:
        return None

    def exec_argv(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> list[str]:
        usual = super().exec_argv(argv, user=user, environ={"PATH": _PATH, **(environ or {})})
        return [word for word in usual if word != "--default-signal"]

    def reset(self) -> None:
        super().reset()
        # Its init starts a new one.
        ssh.wait_for_banner(self.address, self.port, time.monotonic() + BOOT_SECONDS)


@contextmanager
def busybox() -> Iterator[TransportLab]:
    """A lab of it. Raises PackagesMissing."""
    ensure("/bin/busybox", "dropbear", "unshare", "ssh", "ssh-keygen")
    directory = Path(tempfile.mkdtemp(prefix="tk-busybox-", dir="/run"))
    port = _free_port()
    try:
        public_key = ssh.create_key(directory / "key")
        host_key = _fill(directory / "root", public_key, port)
    except BaseException:
        shutil.rmtree(directory)
        raise
    running = Undoing(_START, _END, str(directory), str(directory))
    try:
        ssh.wait_for_banner("127.0.0.1", port, time.monotonic() + BOOT_SECONDS)
        ssh.write_client_files(
            directory,
            [("web1", "127.0.0.1", port)],
            user="ansible",
            python="/nonexistent",
            host_key=host_key,
        )
        yield TransportLab(directory, "inventory", [Busybox(directory, port)], None)
    finally:
        running.now()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _fill(root: Path, public_key: str, port: int) -> str:
    """Make its file system, and return the public part of its host key."""
    for name in (
        "bin",
        "sbin",
        "usr/bin",
        "usr/sbin",
        "etc/dropbear",
        "proc",
        "dev/pts",
        "var",
        "home",
        "root",
    ):
        (root / name).mkdir(parents=True)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    shutil.copy2("/bin/busybox", root / "bin/busybox")
    call(["chroot", str(root), "/bin/busybox", "--install", "-s"])
    program = shutil.which("dropbear")
    assert program is not None
    shutil.copy2(program, root / "usr/sbin/dropbear")
    for library in re.findall(r"(/\S+) \(0x", call(["ldd", program])):
        place = root / library.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(library, place)
    for name, (major, minor) in _DEVICES.items():
        os.mknod(root / "dev" / name, 0o020666, os.makedev(major, minor))
        (root / "dev" / name).chmod(0o666)
    (root / "dev/ptmx").symlink_to("pts/ptmx")
    _accounts(root, public_key)
    # Without a line for it, init asks for a shell on each terminal.
    (root / "etc/inittab").write_text(
        f"::respawn:/usr/sbin/dropbear -F -E -s -p 127.0.0.1:{port} -r /etc/dropbear/key\n"
    )
    said = subprocess.run(
        ["dropbearkey", "-t", "ed25519", "-f", str(root / "etc/dropbear/key")],
        capture_output=True,
        text=True,
        check=True,
    )
    return next(line for line in said.stdout.splitlines() if line.startswith("ssh-ed25519 "))


def _accounts(root: Path, public_key: str) -> None:
    accounts = [ACCOUNTS[name] for name in _LOGINS]
    (root / "etc/passwd").write_text(
        "".join(f"{one.name}:*:{one.uid}:{one.uid}::{one.home}:/bin/sh\n" for one in accounts)
    )
    (root / "etc/group").write_text("".join(f"{one.name}:x:{one.uid}:\n" for one in accounts))
    (root / "etc/shells").write_text("/bin/sh\n")
    for one in accounts:
        keys = root / one.home.lstrip("/") / ".ssh/authorized_keys"
        keys.parent.mkdir(mode=0o700, parents=True)
        keys.write_text(public_key)
        for path in (keys, keys.parent, keys.parent.parent):
            path.chmod(0o600 if path == keys else 0o700)
            os.chown(path, one.uid, one.uid)
