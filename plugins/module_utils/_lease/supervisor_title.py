# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The title by which a supervisor is recognised, as ps shows it.

It vanishes with its process, and needs no file on the host.
"""

from ansible_collections.treekill.remote.plugins.module_utils._process.title import SUPERVISOR_TITLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

ENDING_TITLE = "treekill: ending the tree"


def is_supervisor(arguments: "List[bytes]") -> bool:
    """Whether a command line is that of a supervisor.

    Any process can have such a title: see TreeControl for the other conditions.
    """
    return bool(arguments) and arguments[0].startswith(SUPERVISOR_TITLE.encode())


def names_its_lease(arguments: "List[bytes]", environment: bytes) -> bool:
    """Whether a supervisor's title names the run and the lease of the cookie that it carries."""
    title = arguments[0][len(SUPERVISOR_TITLE) :]
    # " of run 0123456789abcdef, lease 89abcdef", see Supervisor.watch()
    cookie = b"\0TREEKILL=%s/%s/" % (title[8:24], title[32:40])
    return (
        title[:8] == b" of run " and title[24:32] == b", lease " and cookie in b"\0" + environment
    )
