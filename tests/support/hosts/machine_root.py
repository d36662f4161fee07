# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preparations to use the machine's own root as the base of hosts.

Most of them are for callers that are not the machine's root.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .programs import in_user_namespace

#: Directories that hold programs. On most systems all but the first are links into it.
_PROGRAMS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")


def parts(base: Path) -> list[str]:
    """Return the directories of the base that need an overlay each; none if its root can have one.

    In a user namespace the machine's root can't: it has mounts below it that must not be uncovered.
    """
    if base != Path("/") or not in_user_namespace():
        return []
    return [name for name in _PROGRAMS if (base / name).is_dir() and not (base / name).is_symlink()]


def stand_in(layer: Path) -> None:
    """Put into the layer what hosts need of the machine's root besides `parts`.

    It is owned by the user that is root here.
    """
    for name in _PROGRAMS:
        original = Path("/") / name
        if original.is_symlink():
            (layer / name).symlink_to(os.readlink(original))
        elif original.is_dir():
            (layer / name).mkdir(mode=0o755)
    try:
        # The layer replaces these files, or they are secrets that only the machine's root can read.
        ours = shutil.ignore_patterns("ssh", "sudoers*", "shadow*", "gshadow*", "passwd*", "group*")
        shutil.copytree("/etc", layer / "etc", symlinks=True, dirs_exist_ok=True, ignore=ours)
    except shutil.Error:
        pass  # Raised at the end, for the files that can't be read: hosts do without them.
    for name in ("log", "tmp", "lib", "cache", "spool"):
        (layer / "var" / name).mkdir(mode=0o755, parents=True)
    (layer / "var/tmp").chmod(0o1777)
    (layer / "var/run").symlink_to("/run")
    _own_setuid_programs(layer)


def _own_setuid_programs(layer: Path) -> None:
    """Copy what sudo needs.

    In a user namespace the originals belong to an unmapped user, so their setuid bit has no effect.
    """
    for pattern in ("usr/bin/sudo", "usr/bin/su", "usr/libexec/sudo/*", "usr/lib/sudo/*"):
        for original in Path("/").glob(pattern):
            if not original.is_file():
                continue
            copy = layer / original.relative_to("/")
            copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            shutil.copyfile(original, copy)
            copy.chmod(0o4755 if copy.parent.name == "bin" else 0o644)


def hide_below(directory: Path) -> None:
    """Make an overlay show nothing of lower layers in the directory.

    The machine's keys, rules and homes must not show on hosts.
    """
    if not in_user_namespace():  # In one, these directories are not in the layers below.
        os.setxattr(directory, "trusted.overlay.opaque", b"y")
