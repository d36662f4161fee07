# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Ends the grace period of the other passes for the same lease.

Another pass gets a signal, and is not replaced, so the processes that it has found stay found. If
only root may read an orphan's environment, a second pass can't find the orphan again.
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
    """Send `SKIP_GRACE` to every other pass of this run and lease.

    If a pass was handed over to root, the sudo above it passes the signal on.

    A pass is recognised by its words, each a separate argument. A process that imitates them gets a
    signal from the user of the task. That user may signal it anyway.
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
                    # it has ended, so it needs no signal; or it is root's, and the sudo above it
                    # passes the signal on
                    pass
