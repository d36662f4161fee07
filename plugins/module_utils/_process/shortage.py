# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A shortage on the host: a read that fails now does not mean that there is nothing to read."""

import errno
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

#: No descriptors for this process, none on this host, no memory, no processes.
SHORTAGE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)
#: Seconds to wait for the end of a shortage, and seconds between two tries.
SHORTAGE_SECONDS, TRY_SECONDS = 3.0, 0.02


def patiently(error: OSError, call: "Callable[..., Any]", *arguments: "Any") -> "Any":
    """Repeat a call that failed with this error, while the error is a shortage.

    Raises the error that remains.
    """
    until = time.monotonic() + SHORTAGE_SECONDS
    while error.errno in SHORTAGE and time.monotonic() < until:
        time.sleep(TRY_SECONDS)
        try:
            return call(*arguments)
        except OSError as again:
            error = again
    raise error
