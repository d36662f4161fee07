# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Tells the other passes for the same lease that their grace is over.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.

A pass is told, and not overtaken: what it has found stays found. A second pass can't find again an orphan whose environment
only root may read.
"""

from ansible_collections.treekill.remote.plugins.module_utils._process.signaller import (
    SKIP_GRACE,
    Signaller,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import (
        KillRequest,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._tree.control import TreeControl


def skip_grace_of_others(request: "KillRequest", control: "TreeControl") -> None:
    """Send C(SKIP_GRACE) to every pass of this run and lease that is not this one; sudo above a pass that was handed over to root passes it on.

    A pass is known by its words, each an argument of its own. Whoever imitates that gets a signal that is sent by the user who runs the task, to
    processes that this user may signal anyway.
    """
    signaller = Signaller(control.table.process)
    wanted = {b"run=" + request.run.encode(), b"lease=" + request.lease.encode(), b"-I"}
    own = b"nonce=" + request.nonce.encode()
    for pid in control.table.pids():
        words = control.table.arguments(pid)
        if wanted.issubset(words) and own not in words:
            process = control.table.process(pid)
            if process is not None:
                try:
                    signaller.send(process.id, SKIP_GRACE)
                except OSError:
                    pass  # it has ended, which is what it was to be told; or it is root's, and the sudo above it passes the signal on
