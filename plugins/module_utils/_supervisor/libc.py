# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a supervisor asks of the C library and the kernel, and which signals it passes on.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later, cheap to import.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

#: prctl(2), since Linux 3.4.
PR_SET_CHILD_SUBREAPER = 36
#: What is sent to the supervisor is meant for the module. (From a terminal nothing comes: the supervisor is in a session of its own.)
FORWARDED = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM")


def is_subreaper() -> bool:
    """Whether this process has become the parent of every orphan below it."""
    return call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def call(name: str, *arguments: "Any") -> "Optional[int]":
    """What a function of the C library answers; None where it can't be called. ctypes would say the same in a more legible way, and take 5 ms."""
    try:
        import _ctypes

        program = _ctypes.dlopen(None, 0)  # type: ignore[arg-type] # None: this program
        answer: int = _ctypes.call_cdeclfunction(_ctypes.dlsym(program, name), arguments)
    except (ImportError, AttributeError, OSError):
        return None
    return answer


def is_broken() -> bool:
    """Whether nobody is at the other end of standard output or error. Standard input says nothing: in ordinary use it is at its end."""
    import select

    poll = select.poll()
    for descriptor in (1, 2):
        poll.register(descriptor, 0)
    return any(what & (select.POLLERR | select.POLLHUP) for dummy, what in poll.poll(0))
