# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A kill request as words on a command line."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

    from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import (
        KillRequest,
    )


def request_words(request: "KillRequest") -> "List[str]":
    """Return `key=value` words, for read_request() and for the shell version of the pass."""
    words = []
    for name, value in vars(request).items():
        form = "%.6f" if isinstance(value, float) else "%d" if isinstance(value, bool) else "%s"
        words.append("%s=%s" % (name, form % value))
    return words
