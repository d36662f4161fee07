# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of the main process: the function that it calls, and the signal that ends it."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import typing as t


class _Exit:
    """The function that this process calls at its exit."""

    call: t.Callable[[], None] | None = None
    registered = False


def at_exit(call: t.Callable[[], None] | None) -> None:
    """Have `call` called at the exit of this process, in place of an earlier function."""
    _Exit.call = call
    if not _Exit.registered:
        # One for all runs of this process: the interpreter's list keeps the place of an
        # unregistered function.
        _Exit.registered = True
        atexit.register(_exit)


def _exit() -> None:
    call, _Exit.call = _Exit.call, None
    if call is not None:
        call()


def die_as_signalled(number: int) -> None:
    """End this process by the signal; 0: do nothing.

    The parent sees TERM and HUP: a shell reports 143 and 129. After INT, core exits with status 99.
    """
    if number:
        # Other exit functions (temporary files) run first, since none runs after the signal.
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                # The reader may be gone, which must not change how this process ends.
                stream.flush()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
