# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups for hosts whose pid 1 is systemd, one for each host.

Such a host sees its group as the root of all groups.
"""

from __future__ import annotations

import time
from pathlib import Path

from .errors import HostsError, KindUnavailable

_PREFIX = "treekill-hosts-"
_PAUSE = 0.02
_SECONDS = 10.0

#: Shell script that enters the group, and then executes the command that follows.
ENTER = 'echo $$ > "$0/cgroup.procs" && exec "$@"'


def hierarchy() -> Path:
    """Return where this machine has version 2 of them mounted, alone or beside version 1.

    Raises KindUnavailable.
    """
    for line in Path("/proc/mounts").read_text().splitlines():
        fields = line.split()
        if fields[2] == "cgroup2" and "rw" in fields[3].split(","):
            return Path(fields[1])
    raise KindUnavailable(
        "hosts with systemd need a cgroup2 file system that can be written, and none is mounted "
        "here"
    )


def create(lab: str, host: str) -> Path:
    """Return the group of that host, and make it if it is missing. Raises KindUnavailable."""
    group = hierarchy() / f"{_PREFIX}{lab}" / host
    try:
        group.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KindUnavailable(
            f"hosts with systemd need a control group each, and can't have one: {error}"
        ) from error
    return group


def remove(lab: str) -> None:
    """Remove those of a lab, once their processes are dead. It is no error if there are none."""
    try:
        top = hierarchy() / f"{_PREFIX}{lab}"
    except KindUnavailable:
        return
    deadline = time.monotonic() + _SECONDS
    while top.is_dir():
        try:
            # The deepest first.
            for group in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
                group.rmdir()
            top.rmdir()
        except OSError as error:
            # The kernel counts a process for a moment after its end.
            if time.monotonic() > deadline:
                raise HostsError(f"the control group {top} can't be removed: {error}") from error
            time.sleep(_PAUSE)
