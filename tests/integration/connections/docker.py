# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A dockerd of the tests' own, in namespaces that end with it, and containers in it."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.hosts.errors import KindUnavailable
from tests.support.hosts.programs import call, ensure
from tests.support.run.waiting import TooLate, until

from .containers import INIT, MARK, Container
from .root import UNREAD, merged
from .undoing import REMOVE_CGROUPS, SIGNAL_CHILD, Undoing

#: Seconds for dockerd and its containerd to come up on a busy machine.
_START_SECONDS = 30.0

_IMAGE = "tests"

#: $1: its directory, $2: its cgroup. With the process that unshares, all processes in the
#: namespaces die, and the mounts are removed.
_START = r"""
unshare --pid --mount --fork --kill-child --mount-proc sh -c '
    mount -t tmpfs tmpfs "$1/data"
    exec dockerd --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/pid" \
        --host "unix://$1/sock" --cgroup-parent "/$2" \
        --storage-driver overlay2 --iptables=false --ip6tables=false --bridge none
' dockerd "$1" "$2" > "$1/log" 2>&1 &
daemon=$!
"""
_END = (
    REMOVE_CGROUPS
    + SIGNAL_CHILD
    + 'signal_child 9 "$daemon"\nwait\nremove_cgroups "$2"\nrm -rf "$1"\n'
)


@contextmanager
def containers(count: int) -> Iterator[tuple[Path, list[Container]]]:
    """(directory, with the socket `sock` of the daemon; so many containers).

    Raises KindUnavailable with the reason if there can be none.
    """
    ensure("dockerd", "docker")
    directory, group = (
        Path(tempfile.mkdtemp(prefix="tk-docker-", dir="/run")),
        f"tk-docker-{secrets.token_hex(4)}",
    )
    (directory / "data").mkdir()
    daemon = Undoing(_START, _END, str(directory), group)
    try:
        _await_daemon(directory)
        _make_image(directory)
        yield (
            directory,
            [_run(directory, f"{group}-{number}", number) for number in range(1, count + 1)],
        )
    finally:
        daemon.now()
        shutil.rmtree(directory, ignore_errors=True)


def client(directory: Path) -> list[str]:
    """Return the words before a command of docker's client."""
    return ["docker", "--host", f"unix://{directory}/sock"]


def _await_daemon(directory: Path) -> None:
    try:
        until(
            lambda: (
                subprocess.run(
                    [*client(directory), "version"], capture_output=True, check=False
                ).returncode
                == 0
            ),
            _START_SECONDS,
            "",
        )
    except TooLate:
        last = (directory / "log").read_text(errors="replace").strip().splitlines()[-1:]
        raise KindUnavailable(f"dockerd does not come up here: {' '.join(last)}") from None


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
                [*client(directory), "import", "-", _IMAGE],
                stdin=archive.stdout,
                stdout=subprocess.DEVNULL,
                check=True,
            )


def _run(directory: Path, name: str, number: int) -> Container:
    call(
        [
            *client(directory),
            "run",
            "--detach",
            "--network",
            "none",
            "--name",
            name,
            "--env",
            f"{MARK}={name}",
            _IMAGE,
            *INIT,
        ]
    )
    return Container(directory, f"web{number}", name)
