# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a supervisor does when its module was ended by a signal and has left something: it waits for a kill order.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.

A module over a local connection is in the process group of the controller, before ansible-core 2.19. What interrupts
the run by a signal to the group ends the module by the same signal. The supervisor alone still knows what it has left.
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

#: Seconds. An order for this machine comes within half a second, and later where it has much to do. A module that was
#: ended for reasons of its own has its result so much later, if it has left something. While whoever waits for the result
#: stands still, the order is still to come, and nobody is held up.
ORDER_SECONDS = 5.0
#: Milliseconds between two looks: a pass that stops us and continues us wakes nobody.
ORDER_LOOK_MILLISECONDS = 20


def await_order(supervisor: "Supervisor") -> bool:
    """Let a kill pass do its work, if one comes in time. Whether the channel has broken instead."""
    until = time.monotonic() + ORDER_SECONDS
    while not supervisor.childless and (time.monotonic() < until or is_reader_stopped()):
        supervisor.rest(ORDER_LOOK_MILLISECONDS)
        if supervisor.give_way() or supervisor.is_cut_off():
            return supervisor.is_cut_off()
    return False


def is_reader_stopped() -> bool:
    """Whether a process is stopped that has started our root, or one above it. A guardian stops its workers until their orders were carried out."""
    table = ProcTable()
    try:
        process = table.process(parse_cookie(os.environ.get(VARIABLE, "")).ppid)
        return process is not None and any(
            one.stopped for one in [process, *ancestors(process, table.process)]
        )
    except (OSError, ValueError):
        return False
