# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Process that ends a lab when its owner is gone, whatever ended the owner."""

from __future__ import annotations

import os
import subprocess

from .programs import SELF
from .spec import Spec

#: A shell costs less than a Python while it waits. The end of the file means that the owner is
#: gone.
_SCRIPT = 'trap "" HUP INT TERM; read -r word; [ "$word" = dismissed ] || exec "$@"'


class Guard:
    """Guard of one lab, from its making until `dismiss`.

    If the owner ends earlier, the guard takes the lab down.
    """

    def __init__(self, spec: Spec) -> None:
        argv = [
            "sh",
            "-c",
            _SCRIPT,
            "hosts-guard",
            *SELF,
            "down",
            "--lab",
            spec.name,
            "--id",
            spec.id,
        ]
        # Any exec closes our end of the pipe: only the owner and its forks hold it.
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self._owner = os.getpid()

    def dismiss(self) -> None:
        """End the guard, as the lab is down.

        Forked children of the owner have no guard to dismiss.
        """
        if self._process.stdin is None or self._process.stdin.closed or os.getpid() != self._owner:
            return
        try:
            self._process.stdin.write(b"dismissed\n")
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # The guard was killed. The lab is still down.
        self._process.wait()
