# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The look at the size of the terminal that the ssh server has made: it may be a kill order.

The supervisor has to look. The kernel tells a new size by SIGWINCH to the foreground of the
terminal alone, and the supervisor is in a separate session. A process in the foreground for this
would be one more in each task's tree.

With `use_pty`, sudo has made the terminal of the module. It passes rows and columns on to that, and
no pixels. So the look is at the terminal above sudo. root may open it, and another user may not.
"""

import fcntl
import os
import termios

from ansible_collections.treekill.remote.plugins.module_utils._lease.window_order import lease_in
from ansible_collections.treekill.remote.plugins.module_utils._supervisor.ssh_session import (
    SERVERS,
    identity,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union


class Window:
    """The terminal of one lease.

    place: its path, or the descriptor 1 if it is the module's own.
    """

    def __init__(self, lease: str) -> None:
        """Find it. Raise OSError if this user may not open it."""
        self.lease = lease
        self.place: Union[int, str] = terminal_below_server()
        if not self.place or os.stat(self.place).st_rdev == os.fstat(1).st_rdev:
            self.place = 1
        self._size(self.place)

    def is_order(self) -> bool:
        """Whether its size orders the end of the lease. Raise OSError if it was hung up.

        Then another session may get its number.
        """
        return lease_in(self._size(self.place)) == self.lease

    @staticmethod
    def _size(place: "Union[int, str]") -> bytes:
        """Return its size: see ordered_size().

        It is not held open, and does not become the terminal of this process.
        """
        if isinstance(place, int):
            return fcntl.ioctl(place, termios.TIOCGWINSZ, bytes(8))
        descriptor = os.open(place, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            return fcntl.ioctl(descriptor, termios.TIOCGWINSZ, bytes(8))
        finally:
            os.close(descriptor)


def terminal_below_server() -> str:
    """Return the path of the terminal of the process that the nearest ssh server has started.

    Return an empty path if it has none, or no server can be seen.
    """
    pid, terminal = os.getppid(), 0
    while pid > 1:
        found = identity(pid)
        if found is None:
            return ""
        if found[0] in SERVERS:
            path = "/dev/pts/%d" % os.minor(terminal)
            try:
                return path if os.stat(path).st_rdev == terminal else ""
            except OSError:
                return ""
        pid, terminal = found[1], found[3]
    return ""
