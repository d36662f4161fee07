# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Hands a pass over to root by sudo, if sudo asks for no password, and resumes it there."""

import sys
import time

from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import MARK
from ansible_collections.treekill.remote.plugins.module_utils._lease.request_words import (
    request_words,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.module_utils._process.run_command import (
    run_command,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.kill_pass import (
        KillPass,
    )

#: Seconds beyond timeout that root's pass may take: its freezes, its KILL phase, delays of sudo
#: (name service, PAM), and a busy host.
EXTRA_SECONDS = 20.0


def hand_over(kill_pass: "KillPass", program: str) -> "Tuple[str, str]":
    """Run the program as root, with what was found so far.

    Return (report as JSON, "") or ("", the reason of the failure).
    """
    request = kill_pass.request
    found = ",".join(
        "%d:%d" % (tracked.process.id.pid, tracked.process.id.start)
        for tracked in kill_pass.control.living()
    )
    request.began = kill_pass.began
    # Root's pass waits for a transaction. This one may be seen only from afar.
    kill_pass.look_for_transactions()
    more = 0.0
    if kill_pass.control.mark_transactions():
        more = request.finish_timeout
        kill_pass.prolong()
    # The program goes through standard input, since sudo writes the command line to the system's
    # log. So do the processes that were found: the kernel allows 128 KiB in one word.
    command = ["sudo", "-n", sys.executable or "python3", "-I", "-S", "-", *request_words(request)]
    text = "import sys\nsys.argv.append(%r)\n%s" % ("found=" + found, program)
    try:
        output, errors, status = run_command(
            command, text.encode("utf-8"), time.monotonic() + request.timeout + EXTRA_SECONDS + more
        )
    except OSError as error:
        # this user has no more processes or descriptors: the pass ends what it can
        return (
            "",
            "sudo -n: %s" % error,
        )
    mark = "%s %s " % (MARK, request.nonce)
    for line in output.splitlines():
        if line.startswith(mark):
            return line[len(mark) :], ""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return "", "sudo -n: " + (lines[-1].replace("sudo: ", "", 1) if lines else "status %d" % status)


def resume_as_root(kill_pass: "KillPass") -> None:
    """Add the processes that an earlier pass found, if they are still the same processes."""
    control = kill_pass.control
    for word in kill_pass.request.found.split(","):
        pid, dummy, start = word.partition(":")
        process = control.table.process(int(pid))
        if process is not None and process.id == ProcessId(int(pid), int(start)):
            control.search.take(process, control.search.is_root(process))
