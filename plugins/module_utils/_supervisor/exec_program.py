# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Starts a module that is no Python script, as a shell would have started it.

What Python has changed for itself is undone first.
"""

import errno
import os

from ansible_collections.treekill.remote.plugins.module_utils._process.fast_signal import (
    host_signals,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, NoReturn

#: The status of a shell for such a command.
NOT_EXECUTABLE, NOT_FOUND = 126, 127


def execute(words: "List[str]") -> "NoReturn":
    """Become another program."""
    for name in ("SIGPIPE", "SIGXFSZ"):
        # Python ignores them
        host_signals.signal(getattr(host_signals, name), host_signals.SIG_DFL)
    restore_locale()
    try:
        os.execvp(words[0], words)
    except OSError as error:
        os.write(2, ("%s: %s\n" % (words[0], error.strerror)).encode())
        os._exit(NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE)


def restore_locale() -> None:
    """Undo what Python has set for itself in place of the C locale, as PEP 538 describes.

    It is meant for Python alone.
    """
    try:
        with open("/proc/self/environ", "rb") as environment:
            before = dict(word.partition(b"=")[::2] for word in environment.read().split(b"\0"))
    except OSError:
        return
    if b"LC_CTYPE" in before:
        os.environb[b"LC_CTYPE"] = before[b"LC_CTYPE"]
    else:
        os.environb.pop(b"LC_CTYPE", None)
