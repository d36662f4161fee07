# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""File transfers to and from a host.

sftp and scp are no commands of the connection, and outlive their worker.

A transfer has a lease, but no kill order: its server on the host ends with its client here.
"""

from __future__ import annotations

import contextlib
import os
import threading
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease

VARIABLE = "TREEKILL_TRANSFER"


class _UnderWay:
    """Leases of the transfers of this process. A plugin that moves files in threads has several."""

    leases: t.ClassVar[list[str]] = []
    lock = threading.Lock()


@contextlib.contextmanager
def transferring(lease: str) -> t.Iterator[None]:
    """Mark everything that the block starts, for `mark_of`.

    It has no cookie in its command line.
    """
    with _UnderWay.lock:
        _UnderWay.leases.append(lease)
        os.environ[VARIABLE] = lease
    try:
        yield
    finally:
        with _UnderWay.lock:
            _UnderWay.leases.remove(lease)
            if _UnderWay.leases:
                os.environ[VARIABLE] = _UnderWay.leases[-1]
            else:
                os.environ.pop(VARIABLE, None)


def mark_of(lease: Lease) -> bytes:
    """Return the environment entry of every process that moves a file under this lease."""
    return f"{VARIABLE}={lease.lease}".encode()
