# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Sends a signal to a process that is still the one it is meant for.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Callable, List, Optional

    from ansible_collections.treekill.remote.plugins.module_utils._process_table import Process, ProcessId
else:
    try:
        import _signal  # what the module signal is made of, without the enums: those cost more than a whole scan
    except ImportError:
        import signal as _signal


def signal_name(number: "int") -> "str":
    """TERM for 15; the number where the host has no name for it."""
    for name in ("TERM", "KILL", "INT", "HUP", "QUIT", "STOP", "CONT", "USR1", "USR2"):
        if getattr(_signal, "SIG" + name) == number:
            return name
    for name in dir(_signal):
        if name.startswith("SIG") and name[3:4] != "_" and getattr(_signal, name) == number:
            return name[3:]
    return str(number)


def ignore_signals() -> "None":
    """From here on the process outlives its channel, its terminal and its parents."""
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGPIPE", "SIGTSTP", "SIGTTIN", "SIGTTOU"):
        _signal.signal(getattr(_signal, name), _signal.SIG_IGN)


def signal_alarm(seconds: "int") -> "None":
    """Have this process end by SIGALRM after so many seconds."""
    _signal.alarm(seconds)


def _pidfd_works() -> "bool":
    if not hasattr(os, "pidfd_open") or not hasattr(_signal, "pidfd_send_signal"):
        return False
    try:
        descriptor = os.pidfd_open(os.getpid())
    except OSError:  # ENOSYS before Linux 5.3; EPERM where a container's filter does not know the call
        return False
    try:
        _signal.pidfd_send_signal(descriptor, 0)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


class Signaller:
    """Sends signals by identity. By pidfd where there is one: then nobody can take the pid between the check and the signal."""

    def __init__(self, find: "Callable[[int], Optional[Process]]") -> "None":
        self._find = find
        self._pidfd = _pidfd_works()

    def send(self, process: "ProcessId", signal: "int") -> "None":
        """Raises ProcessLookupError if the process is gone (also when its pid is somebody else's now), PermissionError if it is out of reach."""
        pid = process.pid
        if pid <= 1:
            raise ProcessLookupError("pid %d is never signalled" % pid)
        if not self._pidfd:
            self._check(process)
            os.kill(pid, signal)
            return
        descriptor = os.pidfd_open(pid)
        try:
            self._check(process)
            _signal.pidfd_send_signal(descriptor, signal)
        finally:
            os.close(descriptor)

    def _check(self, process: "ProcessId") -> "None":
        found = self._find(process.pid)
        if found is None or found.id != process:
            raise ProcessLookupError("pid %d is not the process that began at %d any more" % (process.pid, process.start))
