# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Sends a signal to a process, if it is still the process for which the signal is meant."""

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
#: The numbers differ: on BSD and macOS they are 19, 9 and 17, on Linux 18, 9 and 19.
SIGCONT, SIGKILL, SIGSTOP = (
    int(host_signals.SIGCONT),
    int(host_signals.SIGKILL),
    int(host_signals.SIGSTOP),
)
#: The shell around a pass ignores it. The pass ignores it as well until it can react. A signal that
#: is sent too early is lost, and does no harm.
SKIP_GRACE = int(host_signals.SIGUSR1)


def ignore_signals() -> None:
    """Let this process outlive its channel, its terminal and its parents."""
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
    """Call the function when another pass for the same lease sends `SKIP_GRACE`."""
    host_signals.signal(SKIP_GRACE, lambda dummy, frame: call())


def signal_alarm(seconds: int) -> None:
    """Let SIGALRM end this process after this many seconds."""
    # the parent may have had it ignored
    host_signals.signal(host_signals.SIGALRM, host_signals.SIG_DFL)
    host_signals.alarm(seconds)


def _pidfd_works() -> bool:
    try:
        descriptor = os.pidfd_open(os.getpid())
        host_signals.pidfd_send_signal(descriptor, 0)
        os.close(descriptor)
    except (AttributeError, OSError):
        # Python before 3.9, Linux before 5.3, or a container whose filter does not know the calls
        return False
    return True


class Signaller:
    """Sends signals by identity.

    It uses a pidfd if there is one: then the pid can't change hands between the check and the
    signal.
    """

    def __init__(self, find: "Callable[[int], Optional[Process]]") -> None:
        self._find = find
        self._pidfd = _pidfd_works()

    def send(self, process: "ProcessId", signal: int) -> None:
        """Send the signal.

        Raises ProcessLookupError if the process has ended, also if its pid belongs to another one
        by now. Raises PermissionError if this process may not signal it.
        """
        pid = process.pid
        if pid <= 1:
            raise ProcessLookupError("pid %d is never signalled" % pid)
        if not process.start:
            raise PermissionError("pid %d does not show its start time" % pid)
        try:
            descriptor = os.pidfd_open(pid) if self._pidfd else -1
        except OverflowError:
            raise ProcessLookupError("%d is not a pid" % pid)  # noqa: B904 - the number says all
        except OSError as error:
            if error.errno not in SHORTAGE:
                raise ProcessLookupError("%d is not a process: %s" % (pid, error))  # noqa: B904 - gone, or a thread of another process
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
