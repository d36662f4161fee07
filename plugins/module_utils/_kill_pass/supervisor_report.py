# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Fetches the report of a supervisor that ends its tree by itself."""

import select
import time

from ansible_collections.treekill.remote.plugins.module_utils._lease.supervisor_title import (
    ENDING_TITLE,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.signaller import (
    SKIP_GRACE,
    Signaller,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, List, Optional

    from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.kill_pass import (
        KillPass,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessTable

#: Milliseconds between two looks whether the grace period is to be skipped.
LOOK_MILLISECONDS = 50
#: Seconds between two looks for a transaction, once the grace period of the supervisor is over.
TRANSACTION_LOOK_SECONDS = 1.0
#: Bytes of a report of about 30,000 processes.
LONGEST_REPORT_BYTES = 16 << 20


def fetch_report(
    connection: "Any",
    pid: int,
    table: "ProcessTable",
    seconds: float,
    skipped: "Callable[[], bool]",
    kill_pass: "Optional[KillPass]",
) -> str:
    """Return what the supervisor sends before it closes the connection.

    An order to skip the grace period is passed on to it once.

    kill_pass: looks for transactions when the time is over. Any process of the tree can take the
        supervisor's name, so its word is not enough.
    """
    began = time.monotonic()
    until = began + seconds
    hurried = kill_pass is not None and kill_pass.request.skip_grace
    look_at = began + (TRANSACTION_LOOK_SECONDS / 2 if hurried else seconds)
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    parts: List[bytes] = []
    length = 0
    passed_on = False
    while length < LONGEST_REPORT_BYTES:
        now = time.monotonic()
        if kill_pass is not None and now >= look_at:
            from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.look import (
                finishing_now,
            )

            look_at = now + TRANSACTION_LOOK_SECONDS
            if finishing_now(kill_pass.request).control.processes:
                if hurried:
                    break
                until = min(
                    look_at + TRANSACTION_LOOK_SECONDS,
                    began + seconds + kill_pass.request.finish_timeout,
                )
                kill_pass.prolong()
        if now >= until:
            break
        if skipped() and not passed_on:
            passed_on = skip_grace_of_supervisor(pid, table)
        if poll.poll(LOOK_MILLISECONDS):
            try:
                part = connection.recv(65536)
            except OSError:
                break  # it ended without a report
            if not part:
                return b"".join(parts).decode("ascii", "replace")
            parts.append(part)
            length += len(part)
    return ""


def skip_grace_of_supervisor(pid: int, table: "ProcessTable") -> bool:
    """Send a supervisor the signal that ends its grace period.

    Return whether it was at work. Before and after its work, the signal would mean something else.
    """
    process = table.process(pid)
    words = table.arguments(pid)
    if process is None or not words or not words[0].startswith(ENDING_TITLE.encode()):
        return False
    try:
        Signaller(table.process).send(process.id, SKIP_GRACE)
    except OSError:
        return False
    return True
