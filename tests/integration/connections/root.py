# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file system of containers and the chroot.

It is the Debian tree of the test hosts with their accounts, as one directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.hosts import layer, trees
from tests.support.hosts.errors import KindUnavailable
from tests.support.hosts.programs import call

from .undoing import Undoing

#: The tests do not read them, and an image is made in half the time without.
UNREAD = ("./usr/share/doc", "./usr/share/locale", "./usr/share/man")


@contextmanager
def merged(place: Path) -> Iterator[Path]:
    """Mount it below the empty directory `place` for the block.

    Raises KindUnavailable if there is no such tree.
    """
    base = trees.find(trees.DEFAULT)
    if base == trees.MACHINE_ROOT:
        raise KindUnavailable(
            "containers and chroots are made of the Debian tree, and this machine could not have "
            "one"
        )
    # In memory, because overlays refuse some file systems as their upper directory.
    call(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(place)])
    undoing = Undoing("", 'umount --recursive --lazy "$1"', str(place))
    try:
        for name in ("layer", "upper", "work", "root"):
            (place / name).mkdir(mode=0o755)
        layer.write(
            place / "layer", base, public_key="", hosts_file="127.0.0.1 localhost\n::1 localhost\n"
        )
        options = f"lowerdir={place}/layer:{base},upperdir={place}/upper,workdir={place}/work"
        call(["mount", "-t", "overlay", "overlay", "-o", options, str(place / "root")])
        yield place / "root"
    finally:
        undoing.now()
