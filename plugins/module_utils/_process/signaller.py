# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Sends a signal to a process that is still the one it is meant for.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
"""

import os

from ansible_collections.treekill.remote.plugins.module_utils._process.fast_signal import (
    host_signals,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.shortage import SHORTAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

    from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
        Process,
        ProcessId,
    )
#: They differ: 17 and 19 on BSD and macOS for what is 19 and 18 on Linux.
SIGCONT, SIGKILL, SIGSTOP = (
    int(host_signals.SIGCONT),
    int(host_signals.SIGKILL),
    int(host_signals.SIGSTOP),
)
#: The shell around a pass ignores it, and so does the pass until it is ready for it: sent too early it is lost, and harms nobody.
SKIP_GRACE = int(host_signals.SIGUSR1)


def ignore_signals() -> None:
    """From here on the process outlives its channel, its terminal and its parents."""
    for name in (
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGTERM",
        "SIGPIPE",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
    ):
        host_signals.signal(getattr(host_signals, name), host_signals.SIG_IGN)


def on_skip_grace(call: "Callable[[], None]") -> None:
    """Call it when another pass for the same lease sends C(SKIP_GRACE)."""
    host_signals.signal(SKIP_GRACE, lambda dummy, frame: call())


def signal_alarm(seconds: int) -> None:
    """Have this process end by SIGALRM after so many seconds."""
    host_signals.signal(
        host_signals.SIGALRM, host_signals.SIG_DFL
    )  # whoever started us may have had it ignored
    host_signals.alarm(seconds)


def _pidfd_works() -> bool:
    try:
        descriptor = os.pidfd_open(os.getpid())
        host_signals.pidfd_send_signal(descriptor, 0)
        os.close(descriptor)
    except (AttributeError, OSError):
        return False  # Python before 3.9, Linux before 5.3, or a container's filter that does not know the calls
    return True


class Signaller:
    """Sends signals by identity. By pidfd where there is one: then nobody can take the pid between the check and the signal."""

    def __init__(self, find: "Callable[[int], Optional[Process]]") -> None:
        self._find = find
        self._pidfd = _pidfd_works()

    def send(self, process: "ProcessId", signal: int) -> None:
        """Raises ProcessLookupError if the process is gone (also when its pid is somebody else's now), PermissionError if it is out of reach."""
        pid = process.pid
        if pid <= 1:
            raise ProcessLookupError("pid %d is never signalled" % pid)
        if not process.start:
            raise PermissionError("pid %d does not show its start time" % pid)
        try:
            descriptor = os.pidfd_open(pid) if self._pidfd else -1
        except OverflowError:
            raise ProcessLookupError("%d is no pid" % pid)  # noqa: B904 - that is all there is to say
        except OSError as error:
            if error.errno not in SHORTAGE:
                raise ProcessLookupError("%d is no process: %s" % (pid, error))  # noqa: B904 - gone, or a thread of another one
            descriptor = -1
        if descriptor < 0:
            self._check(process)
            os.kill(pid, signal)
            return
        try:
            self._check(process)
            host_signals.pidfd_send_signal(descriptor, signal)
        finally:
            os.close(descriptor)

    def _check(self, process: "ProcessId") -> None:
        found = self._find(process.pid)
        if found is not None and not found.id.start:
            raise PermissionError("pid %d does not show its start time any more" % process.pid)
        if found is None or found.id != process:
            raise ProcessLookupError(
                "pid %d is not the process that began at %d any more" % (process.pid, process.start)
            )
