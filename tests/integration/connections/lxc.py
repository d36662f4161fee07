# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container of LXC. Its processes are below the worker that has attached them to it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.hosts.errors import KindUnavailable
from tests.support.hosts.programs import ensure
from tests.support.run.waiting import TooLate

from .containers import INIT, MARK, Container
from .root import merged
from .undoing import REMOVE_CGROUPS, Undoing

#: Where the library finds containers of root.
_CONTAINERS = Path("/var/lib/lxc")

_INIT_PATH = "usr/sbin/init"

_CONFIGURATION = """\
lxc.uts.name = {name}
lxc.rootfs.path = dir:{root}
lxc.init.cmd = /{init}
lxc.net.0.type = empty
lxc.pty.max = 1024
lxc.mount.auto = proc:mixed sys:mixed
lxc.apparmor.profile = unconfined
lxc.environment = {mark}={name}
"""

#: $1: its name, $2: the directory of the log. In the foreground it is a child of this shell, which
#: waits for it.
_START = 'lxc-start --name "$1" --foreground --logfile "$2/log" > "$2/out" 2>&1 &'
_END = (
    REMOVE_CGROUPS
    + r"""
lxc-stop --name "$1" --kill
wait
remove_cgroups "lxc.payload.$1"
remove_cgroups "lxc.monitor.$1"
"""
)


@contextmanager
def container() -> Iterator[tuple[Path, Container]]:
    """(directory; the container). Raises KindUnavailable with the reason if there can be none."""
    # The library of the connection plugin is made from its source.
    ensure("lxc-start", "/usr/include/lxc/lxccontainer.h")
    directory = Path(tempfile.mkdtemp(prefix="tk-lxc-", dir="/run"))
    place = _CONTAINERS / directory.name
    try:
        (directory / "place").mkdir()
        with merged(directory / "place") as root:
            (root / _INIT_PATH).unlink(missing_ok=True)
            (root / _INIT_PATH).write_text(f"#!/usr/bin/python3\n{INIT[2]}\n")
            (root / _INIT_PATH).chmod(0o755)
            place.mkdir(parents=True)
            (place / "config").write_text(
                _CONFIGURATION.format(name=directory.name, root=root, init=_INIT_PATH, mark=MARK)
            )
            undoing = Undoing(_START, _END, directory.name, str(directory))
            try:
                host = Container(directory, "web1", directory.name)
                _await_init(host, directory)
                yield directory, host
            finally:
                undoing.now()
    finally:
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(directory, ignore_errors=True)


def _await_init(host: Container, directory: Path) -> None:
    try:
        assert host.init
    except TooLate:
        last = (directory / "out").read_text(errors="replace").strip().splitlines()[-1:]
        raise KindUnavailable(f"lxc can't run containers here: {' '.join(last)}") from None
