# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The sockets of a run's pulses, as the supervisors of that host find them.

A name alone would not do: another user could take it first. So each pulse adds random digits to the
name, and a supervisor asks the kernel which user listens there.

Containers may share their network, and so these names. Each has a pulse of its own, which ends with
the tasks there. So the name also has the namespace of the processes that the pulse is for.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List


def pulse_address(run: str, digits: str) -> str:
    """Return the address of a pulse, in the abstract namespace of Linux."""
    try:
        processes = str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        processes = ""
    return "\0treekill/%s/pulse/%s/%s" % (run, processes, digits)


def pulse_addresses(run: str) -> "List[str]":
    """Return the addresses that may be those of pulses of this run. Any user can make such one."""
    beginning = pulse_address(run, "").replace("\0", "@").encode()
    try:
        # of this process's network namespace, also where /proc has no other files than processes
        with open("/proc/self/net/unix", "rb") as table:
            names = [line.rpartition(b" ")[2].strip() for line in table]
    except OSError:
        return []
    found = {name for name in names if name.startswith(beginning)}
    return ["\0" + name[1:].decode("ascii", "replace") for name in sorted(found)]
