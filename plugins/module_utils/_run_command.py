# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Runs another program and collects what it says, under a deadline.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
Not the subprocess module, which takes longer to import than a kill pass takes.
"""

import os
import select
import time

from ansible_collections.treekill.remote.plugins.module_utils._host_signals import host_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Tuple


def run_command(command: "List[str]", text: "bytes", until: "float") -> "Tuple[str, str, int]":
    """stdout, stderr and wait status of a command that reads text, has a session of its own and may run until that monotonic time.

    One that is not there says so on stderr, with status 127 << 8. text: at most 64 KiB, which a pipe takes without a reader.
    """
    host_signals.signal(host_signals.SIGCHLD, host_signals.SIG_DFL)  # whoever started us may have had it ignored: then there is no status
    pipes = [os.pipe() for dummy in range(3)]
    pid = os.fork()
    if not pid:
        try:
            os.setsid()
            os.dup2(pipes[0][0], 0)
            os.dup2(pipes[1][1], 1)
            os.dup2(pipes[2][1], 2)
            os.execvp(command[0], command)
        except OSError as error:
            os.write(2, ("%s does not start: %s" % (command[0], error.strerror)).encode())
        finally:
            os._exit(127)
    for descriptor in (pipes[0][0], pipes[1][1], pipes[2][1]):
        os.close(descriptor)
    try:
        os.write(pipes[0][1], text)
    except OSError:
        pass  # it ended without reading: its errors say why
    os.close(pipes[0][1])
    read = {pipes[1][0]: b"", pipes[2][0]: b""}
    waiting = set(read)
    while waiting and time.monotonic() < until:
        for descriptor in select.select(waiting, [], [], max(until - time.monotonic(), 0))[0]:
            chunk = os.read(descriptor, 65536)
            read[descriptor] += chunk
            if not chunk:
                waiting.discard(descriptor)
    status = os.waitpid(pid, os.WNOHANG if waiting else 0)[1]
    for descriptor in read:
        os.close(descriptor)
    output, errors = (content.decode("utf-8", "replace") for content in read.values())
    return output, errors + ("no end in time" if waiting else ""), status
