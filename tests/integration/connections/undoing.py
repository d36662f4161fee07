# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Undoing of what a test has set up on this machine, when the test is over.

It does not matter how the test ended.
"""

from __future__ import annotations

import subprocess

#: The end of the input means that the owner is done, or gone. A shell costs less than a Python
#: while it waits.
_SCRIPT = 'trap "" HUP INT TERM; {before}\ncat > /dev/null\n{after}'

#: Shell function for `after`: remove the cgroups of that name, in each hierarchy, as soon as they
#: are empty.
REMOVE_CGROUPS = r"""
remove_cgroups() {
    tries=0
    while [ "$(find /sys/fs/cgroup -maxdepth 2 -name "$1")" ] && [ $((tries += 1)) -lt 200 ]; do
        find /sys/fs/cgroup -depth -path "*/$1*" -type d -exec rmdir {} \; 2> /dev/null
        sleep 0.05
    done
}
"""

#: Shell functions for `after`: whether a process is a child of this shell, and a signal to a child.
#: A shell reads the status of a child as soon as that has ended. Then the pid may be given again.
SIGNAL_CHILD = r"""
is_child() {
    { read -r pid name state parent rest < "/proc/$1/stat"; } 2> /dev/null && [ "$parent" = $$ ]
}
signal_child() {
    is_child "$2" && kill "-$1" "$2"
}
"""


class Undoing:
    """A process that runs shell commands now, and others at the end."""

    def __init__(self, before: str, after: str, *arguments: str) -> None:
        """`before` must not wait for what it starts. `arguments` are $1, $2 of both."""
        self._process = subprocess.Popen(
            ["sh", "-c", _SCRIPT.format(before=before, after=after), "transports", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    def now(self) -> None:
        """Undo it, and return when it is undone."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
