# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An LXD daemon of the tests' own, and containers in it.

They are reached by its client `lxc`. A program `incus` stands in for the client of Incus, which
Debian bookworm does not have: it is this same client. Incus is a fork of LXD, and its client takes
the same words for `exec` and `file`. It is shown to be what the connection plugin of Incus starts,
and not how the daemon of Incus ends a command. This daemon leaves a command running if its client
is gone. A later LXD, and Incus, send SIGKILL to the first process of the command.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.hosts.errors import HostsError, KindUnavailable
from tests.support.hosts.programs import ensure
from tests.support.run.waiting import TooLate, until

from .containers import INIT, MARK, Container
from .root import UNREAD, merged
from .undoing import REMOVE_CGROUPS, SIGNAL_CHILD, Undoing

#: Seconds for the daemon to come up on a busy machine.
_START_SECONDS = 60.0

_IMAGE = "tests"

_METADATA = "architecture: x86_64\ncreation_date: 1700000000\nproperties: {description: tests}\n"

#: LXD starts this path as pid 1 of a container.
_INIT_PATH = "usr/sbin/init"

#: $1: its directory; further: the names of the containers. The monitor of a container is no child
#: of the daemon, and its pid 1 is killed with it.
_START = r"""
mount -t tmpfs tmpfs "$1/lxd"
mkdir "$1/home"
HOME="$1/home" LXD_DIR="$1/lxd" lxd --group root --logfile "$1/log" > "$1/out" 2>&1 &
daemon=$!
"""
_END = (
    REMOVE_CGROUPS
    + SIGNAL_CHILD
    + r"""
directory=$1
shift
export HOME="$directory/home" LXD_DIR="$directory/lxd"
for name; do timeout 20 lxc delete --force "$name"; done
signal_child TERM "$daemon"
tries=0
while is_child "$daemon" && [ $((tries += 1)) -lt 200 ]; do sleep 0.05; done
signal_child 9 "$daemon"
wait
umount --recursive --lazy "$directory/lxd/shmounts" "$directory/lxd/devlxd" "$directory/lxd"
for name; do remove_cgroups "lxc.payload.$name"; remove_cgroups "lxc.monitor.$name"; done
find /sys/fs/cgroup -maxdepth 2 -name lxc.pivot -exec rmdir {} \;
rm -rf "$directory"
"""
)

#: Stands in for the client of Incus.
_INCUS = '#!/bin/sh\nexec lxc "$@"\n'


@contextmanager
def containers(count: int) -> Iterator[tuple[Path, list[Container]]]:
    """(directory, with the clients in `bin`; so many containers).

    Raises KindUnavailable with the reason if there can be none.
    """
    ensure("lxd", "lxc")
    directory = Path(tempfile.mkdtemp(prefix="tk-lxd-", dir="/run"))
    names = [f"{directory.name.replace('_', '-')}-{number}" for number in range(1, count + 1)]
    (directory / "lxd").mkdir()
    daemon = Undoing(_START, _END, str(directory), *names)
    try:
        _await_daemon(directory)
        _make_image(directory)
        _call(directory, "storage", "create", "default", "dir")
        for name in names:
            _start(directory, name)
        _write_clients(directory)
        yield (
            directory,
            [Container(directory, f"web{at}", name) for at, name in enumerate(names, 1)],
        )
    finally:
        daemon.now()
        shutil.rmtree(directory, ignore_errors=True)


def environ_of(directory: Path) -> Mapping[str, str]:
    """Return what the clients need in their environment."""
    return {"LXD_DIR": f"{directory}/lxd", "LXD_CONF": f"{directory}/home"}


def _call(directory: Path, *words: str) -> None:
    done = subprocess.run(
        ["lxc", *words],
        env={**os.environ, **environ_of(directory)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise HostsError(f"lxc {' '.join(words)} failed: {done.stderr.strip()}")


def _await_daemon(directory: Path) -> None:
    def answers() -> bool:
        try:
            _call(directory, "query", "/1.0")
        except HostsError:
            return False
        return True

    try:
        until(answers, _START_SECONDS, "")
    except TooLate:
        last = (directory / "out").read_text(errors="replace").strip().splitlines()[-1:]
        raise KindUnavailable(f"lxd does not come up here: {' '.join(last)}") from None


def _make_image(directory: Path) -> None:
    place = directory / "image"
    place.mkdir()
    with merged(place) as root:
        (root / _INIT_PATH).unlink(missing_ok=True)
        (root / _INIT_PATH).write_text(f"#!/usr/bin/python3\n{INIT[2]}\n")
        (root / _INIT_PATH).chmod(0o755)
        (place / "metadata.yaml").write_text(_METADATA)
        excluded = [f"--exclude={Path(root.name, path)}" for path in UNREAD]
        subprocess.run(
            [
                "tar",
                "-C",
                str(place),
                "--one-file-system",
                f"--transform=flags=rh;s,^{root.name},rootfs,",
                *excluded,
                "-cf",
                str(place / "image.tar"),
                "metadata.yaml",
                root.name,
            ],
            check=True,
        )
        _call(directory, "image", "import", str(place / "image.tar"), "--alias", _IMAGE)


def _start(directory: Path, name: str) -> None:
    # Without a map of user ids: a machine need not have one for root.
    settings = {"security.privileged": "true", f"environment.{MARK}": name}
    words = [f"--config={key}={value}" for key, value in settings.items()]
    _call(directory, "init", _IMAGE, name, "--quiet", "--storage", "default", *words)
    try:
        _call(directory, "start", name)
    except HostsError as error:
        raise KindUnavailable(f"lxd can't run containers here: {error}") from error


def _write_clients(directory: Path) -> None:
    programs = directory / "bin"
    programs.mkdir()
    (programs / "incus").write_text(_INCUS)
    (programs / "incus").chmod(0o755)
