# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Calls of the C library and the kernel, and the signals that a supervisor forwards."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

#: prctl(2), since Linux 3.4.
PR_SET_CHILD_SUBREAPER = 36
#: Signals to the supervisor are meant for the module. A terminal sends none: the supervisor is in a
#: separate session.
FORWARDED = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM")


def is_subreaper() -> bool:
    """Make this process the parent of every orphan below it. Return whether it is."""
    return call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def call(name: str, *arguments: "Any") -> "Optional[int]":
    """Return the result of a function of the C library; None if it can't be called.

    ctypes would be easier to read, but takes 5 ms.
    """
    try:
        import _ctypes

        program = _ctypes.dlopen(None, 0)  # type: ignore[arg-type] # None: this program
        answer: int = _ctypes.call_cdeclfunction(_ctypes.dlsym(program, name), arguments)
    except (ImportError, AttributeError, OSError):
        return None
    return answer


def is_broken() -> bool:
    """Whether standard output or error has no reader any more.

    Standard input is no evidence: usually it has reached its end.
    """
    import select

    poll = select.poll()
    for descriptor in (1, 2):
        poll.register(descriptor, 0)
    return any(what & (select.POLLERR | select.POLLHUP) for dummy, what in poll.poll(0))
