# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A host that is short of something: that nothing can be read there just now does not say that there is nothing.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later, cheap to import.
"""

import errno
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

#: No descriptors for this process, none on this host, no memory, no processes.
SHORTAGE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)
#: Seconds to wait for better times, and between two tries.
SHORTAGE_SECONDS, TRY_SECONDS = 3.0, 0.02


def patiently(error: "OSError", call: "Callable[..., Any]", *arguments: "Any") -> "Any":
    """Try again what has failed with this error, as long as that is a shortage. Raises the error that remains."""
    until = time.monotonic() + SHORTAGE_SECONDS
    while error.errno in SHORTAGE and time.monotonic() < until:
        time.sleep(TRY_SECONDS)
        try:
            return call(*arguments)
        except OSError as again:
            error = again
    raise error
