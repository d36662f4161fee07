# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A wait for many processes by their pidfds.

No look at a process table delays or disturbs what is measured.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Sequence

from tests.support.hosts import ProcessId

#: Seconds after which a measurement has failed.
_AT_MOST = 60.0


class Watch:
    """Watch of these processes.

    `with Watch(processes) as watch: ...; watch.wait()`.
    """

    def __init__(self, processes: Sequence[ProcessId]) -> None:
        self._poll = select.poll()
        self._open = {os.pidfd_open(process.pid) for process in processes}
        for descriptor in self._open:
            self._poll.register(descriptor, select.POLLIN)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *dummy: object) -> None:
        for descriptor in self._open:
            os.close(descriptor)

    def wait(self) -> None:
        """Return when the last of them has ended. Raises TimeoutError after a minute."""
        deadline = time.monotonic() + _AT_MOST
        while self._open:
            ready = self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            if not ready:
                raise TimeoutError(f"{len(self._open)} processes are alive after {_AT_MOST:g} s")
            for descriptor, dummy in ready:
                self._poll.unregister(descriptor)
                os.close(descriptor)
                self._open.remove(descriptor)
