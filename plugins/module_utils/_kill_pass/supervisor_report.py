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
    from typing import Any, Callable, List

    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessTable

#: Milliseconds between two looks whether the grace period is to be skipped.
LOOK_MILLISECONDS = 50
#: Bytes of a report of about 30,000 processes.
LONGEST_REPORT_BYTES = 16 << 20


def fetch_report(
    connection: "Any",
    pid: int,
    table: "ProcessTable",
    seconds: float,
    skipped: "Callable[[], bool]",
) -> str:
    """Return what the supervisor sends before it closes the connection.

    An order to skip the grace period is passed on to it once.
    """
    until = time.monotonic() + seconds
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    parts: List[bytes] = []
    length = 0
    passed_on = False
    while time.monotonic() < until and length < LONGEST_REPORT_BYTES:
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
