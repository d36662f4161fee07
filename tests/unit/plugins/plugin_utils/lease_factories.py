# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Made-up leases, as a worker asks for them."""

from __future__ import annotations

from typing import Any

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import (
    LeaseRequest,
    LeaseTerms,
)


def make_terms(**more: Any) -> LeaseTerms:
    """Terms of a command without grace."""
    no = dict.fromkeys(("keep", "end_async", "local", "cut", "supervised", "transfer"), False)
    return LeaseTerms(**{"run": "00000000000000aa", "timeout": 0.0, "retry_for": 0.0, **no, **more})


def make_request(lease: str = "00000001", order: str = "{}", **more: Any) -> LeaseRequest:
    """Return a request with such terms."""
    return LeaseRequest(
        lease=lease, host="web1", task="a task", order=order, reach="{}", terms=make_terms(**more)
    )
