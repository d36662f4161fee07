# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The wait for a kill order, when a signal has ended the module and something of it is left.

Before ansible-core 2.19, a module over a local connection is in the process group of the
controller. A signal to that group interrupts the run, and ends the module as well. Then only the
supervisor knows what the module has left.
"""

import os
import time

from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import (
    VARIABLE,
    parse_cookie,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ancestors
from ansible_collections.treekill.remote.plugins.module_utils._process.proc import ProcTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.module_utils._supervisor.watch import (
        Supervisor,
    )

#: Seconds. An order for this machine comes within half a second, or later if the machine is busy.
#: If the module ended for another reason and has left something, its result is late by these
#: seconds. If the reader of the result is stopped, the order is still to come, and the wait delays
#: nothing.
ORDER_SECONDS = 5.0
#: Milliseconds between two looks: a pass that stops and continues this process does not interrupt a
#: wait.
ORDER_LOOK_MILLISECONDS = 20


def await_order(supervisor: "Supervisor") -> bool:
    """Let a kill pass do its work, if it comes in time. Return whether the channel has broken."""
    until = time.monotonic() + ORDER_SECONDS
    while not supervisor.childless and (time.monotonic() < until or is_reader_stopped()):
        supervisor.rest(ORDER_LOOK_MILLISECONDS)
        if supervisor.give_way() or supervisor.is_cut_off():
            return supervisor.is_cut_off()
    return False


def is_reader_stopped() -> bool:
    """Whether the parent of the root, or a process above it, is stopped.

    A guardian stops its workers until their orders were carried out.
    """
    table = ProcTable()
    try:
        process = table.process(parse_cookie(os.environ.get(VARIABLE, "")).ppid)
        return process is not None and any(
            one.stopped for one in [process, *ancestors(process, table.process)]
        )
    except (OSError, ValueError):
        return False
