# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of labs, and how several callers share it: directories, JSON files and locks."""

from __future__ import annotations

import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import HostsError

#: Set inside a rootless area, where uid 0 is not the machine's root. Its value is the directory of
#: the area.
AREA_VARIABLE = "HOSTS_AREA"

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")


def in_area() -> bool:
    """Whether this process is inside a rootless area."""
    return AREA_VARIABLE in os.environ


def base_directory() -> Path:
    """Return the directory that holds every lab of this user. It is made if it is missing."""
    area = os.environ.get(AREA_VARIABLE)
    if area:
        base = Path(area)
    elif os.geteuid() == 0:
        base = Path("/run/treekill-hosts")
    elif os.environ.get("XDG_RUNTIME_DIR"):
        base = Path(os.environ["XDG_RUNTIME_DIR"]) / "treekill-hosts"
    else:
        base = Path(tempfile.gettempdir()) / f"treekill-hosts-{os.geteuid()}"
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    if base.stat().st_uid != os.geteuid():
        raise HostsError(
            f"{base} belongs to another user: remove it, or set XDG_RUNTIME_DIR to a directory of "
            "your own"
        )
    return base


def cache_directory() -> Path:
    """Return the directory for what is made once and kept. It is made if it is missing."""
    if os.environ.get("XDG_CACHE_HOME"):
        cache = Path(os.environ["XDG_CACHE_HOME"])
    elif os.geteuid() == 0 and not in_area():
        cache = Path("/var/cache")
    else:
        cache = Path.home() / ".cache"
    # In an area, the owners of files are other users than they seem to be: root must not take such
    # a tree for its own.
    cache = cache / ("treekill-hosts-rootless" if in_area() else "treekill-hosts")
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    return cache


def lab_directory(name: str) -> Path:
    """Return the directory of one lab, whether it is up or not.

    Raises HostsError for a name that can't be one.
    """
    return base_directory() / "labs" / _checked(name)


def area_directory(name: str) -> Path:
    """Return the directory of the rootless area for the lab of that name. It may be missing."""
    return base_directory() / "areas" / _checked(name)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise HostsError(f"{name!r} is no lab name: up to 31 of a-z, 0-9 and -, the first no -")
    return name


def write_json(path: Path, content: Any) -> None:
    """Replace the file at once: a reader sees the old content or the new."""
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(content, indent=1))
    new.replace(path)


def read_json(path: Path) -> Any:
    """Return the content; None if there is no such file."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file or of a directory for the block.

    A missing file is made. Other holders are waited for.
    """
    descriptor = (
        os.open(path, os.O_RDONLY)
        if path.is_dir()
        else os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
