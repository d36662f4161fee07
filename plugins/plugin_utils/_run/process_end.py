# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of the main process: what is called at it, and the signal of which the process dies."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import typing as t


class _Exit:
    """Of this process: what is called when it ends."""

    call: t.Callable[[], None] | None = None
    registered = False


def at_exit(call: t.Callable[[], None] | None) -> None:
    """Call this, and nothing else of ours, when the process ends."""
    _Exit.call = call
    if not _Exit.registered:
        # One for all runs of this process: what is unregistered keeps its place in the interpreter's list.
        _Exit.registered = True
        atexit.register(_exit)


def _exit() -> None:
    call, _Exit.call = _Exit.call, None
    if call is not None:
        call()


def die_as_signalled(number: int) -> None:
    """TERM and HUP end a process by themselves, and its parent sees which: 143 and 129 to a shell. INT is core's to report, as exit status 99."""
    if number:
        # What else is to be done at exit (temporary files) is done first, since nothing is done after.
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                # Whoever read it may be gone: that must not change by what this process dies.
                stream.flush()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
