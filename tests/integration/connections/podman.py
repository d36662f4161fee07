# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containers of podman, with a storage of the tests' own."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.hosts.errors import HostsError, KindUnavailable
from tests.support.hosts.programs import call, ensure

from .containers import INIT, MARK, Container
from .root import UNREAD, merged
from .undoing import REMOVE_CGROUPS, Undoing

_IMAGE = "tests"

#: Podman prefers crun, which refuses a machine that has the cgroups of both versions.
RUNTIME = "runc"

#: $1: its directory, $2: its cgroup; further: the words of podman.
_END = (
    REMOVE_CGROUPS
    + r"""
directory=$1 group=$2
shift 2
"$@" rm --force --all --time 0
# The monitor of a container runs `podman container cleanup` after its end, and that makes the
# directories again.
busy() {
    for process in /proc/[0-9]*; do
        { read -r name < "$process/comm"; } 2> /dev/null
        case $name in conmon | podman) grep -qs "$directory" "$process/cmdline" && return 0 ;; esac
    done
    return 1
}
tries=0
while busy && [ $((tries += 1)) -lt 200 ]; do sleep 0.05; done
umount --recursive --lazy "$directory"
remove_cgroups "$group"
rmdir "$directory"
"""
)


def client(directory: Path) -> list[str]:
    """Return the words before a command of podman."""
    places = {"root": "storage", "runroot": "run", "tmpdir": "tmp"}
    return [
        "podman",
        *(f"--{name}={directory}/{place}" for name, place in places.items()),
        "--cgroup-manager=cgroupfs",
        "--storage-driver=overlay",
        f"--runtime={RUNTIME}",
    ]


@contextmanager
def storage() -> Iterator[tuple[Path, str]]:
    """(directory with the storage; name of the cgroup that is removed with it).

    All containers in it end with the block. Raises PackagesMissing.
    """
    ensure("podman", RUNTIME)
    directory, group = (
        Path(tempfile.mkdtemp(prefix="tk-podman-", dir="/run")),
        f"tk-podman-{secrets.token_hex(4)}",
    )
    call(["mount", "-t", "tmpfs", "tmpfs", str(directory)])
    undoing = Undoing("", _END, str(directory), group, *client(directory))
    try:
        yield directory, group
    finally:
        undoing.now()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def containers(count: int) -> Iterator[tuple[Path, list[Container]]]:
    """(directory; so many containers).

    Raises KindUnavailable with the reason if there can be none.
    """
    with storage() as (directory, group):
        _make_image(directory)
        try:
            hosts = [_run(directory, group, number) for number in range(1, count + 1)]
        except HostsError as error:
            raise KindUnavailable(f"podman can't run containers here: {error}") from error
        yield directory, hosts


def _make_image(directory: Path) -> None:
    place = directory / "image"
    place.mkdir()
    with merged(place) as root:
        excluded = [f"--exclude={path}" for path in UNREAD]
        with subprocess.Popen(
            ["tar", "-C", str(root), "--one-file-system", *excluded, "-c", "."],
            stdout=subprocess.PIPE,
        ) as archive:
            subprocess.run(
                [*client(directory), "import", "--quiet", "-", _IMAGE],
                stdin=archive.stdout,
                stdout=subprocess.DEVNULL,
                check=True,
            )


def _run(directory: Path, group: str, number: int) -> Container:
    name = f"{group}-{number}"
    # Its own limits are beyond those of some machines. It then asks for more than it is allowed.
    limits = ["--ulimit=nofile=1024:4096", "--ulimit=nproc=4096:4096"]
    options = [
        "--network=none",
        f"--cgroup-parent=/{group}",
        *limits,
        f"--name={name}",
        f"--env={MARK}={name}",
    ]
    call([*client(directory), "run", "--detach", *options, _IMAGE, *INIT])
    return Container(directory, f"web{number}", name)
