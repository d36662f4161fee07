# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Runs another program under a deadline, and collects its output.

It does not use the module subprocess, whose import takes longer than a kill pass.
"""

import os
import select
import time

from ansible_collections.treekill.remote.plugins.module_utils._process.fast_signal import (
    host_signals,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Tuple

#: Wait status of a command that has not ended in time.
TIMEOUT_STATUS = 124 << 8


def run_command(command: "List[str]", text: bytes, until: float) -> "Tuple[str, str, int]":
    """Run a command. Return its standard output, its standard error and its wait status.

    The command reads `text` on standard input, has a separate session, and may run until `until`
    (monotonic time).

    If there is no such command, its standard error holds that, and the status is 127 << 8. A
    command that takes too long is left running: a program that runs as root may be at work. Raises
    OSError if there are no descriptors or processes for it.
    """
    # the parent may have had SIGCHLD ignored: then there would be no status
    host_signals.signal(host_signals.SIGCHLD, host_signals.SIG_DFL)
    pipes: List[Tuple[int, int]] = []
    try:
        for dummy in range(3):
            pipes.append(os.pipe())
        pid = os.fork()
    except OSError:
        for ends in pipes:
            os.close(ends[0])
            os.close(ends[1])
        raise
    if not pid:
        _become(command, pipes[0][0], pipes[1][1], pipes[2][1])
    for descriptor in (pipes[0][0], pipes[1][1], pipes[2][1]):
        os.close(descriptor)
    read = _exchange(pipes[0][1], text, (pipes[1][0], pipes[2][0]), until)
    status = TIMEOUT_STATUS
    ended, found = os.waitpid(pid, os.WNOHANG)
    while not ended and time.monotonic() < until:
        time.sleep(0.001)
        ended, found = os.waitpid(pid, os.WNOHANG)
    if ended:
        status = found
    output, errors = (content.decode("utf-8", "replace") for content in read)
    return output, errors + ("" if ended else "no end in time"), status


def _become(command: "List[str]", stdin: int, stdout: int, stderr: int) -> None:
    """Become the command, in the forked child."""
    try:
        os.setsid()
        host_signals.pthread_sigmask(host_signals.SIG_SETMASK, [])
        os.dup2(stdin, 0)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, ("%s does not start: %s" % (command[0], error.strerror)).encode())
    finally:
        os._exit(127)


def _exchange(stdin: int, text: bytes, outputs: "Tuple[int, int]", until: float) -> "List[bytes]":
    """Write the text, and read both outputs until they end or time is up. Close all three."""
    read: Dict[int, bytes] = dict.fromkeys(outputs, b"")
    os.set_blocking(stdin, False)
    poll = select.poll()
    poll.register(stdin, select.POLLOUT)
    for descriptor in outputs:
        poll.register(descriptor, select.POLLIN)
    open_ones = {stdin, *outputs}
    while open_ones.intersection(outputs) and time.monotonic() < until:
        for descriptor, dummy in poll.poll(max(until - time.monotonic(), 0) * 1000):
            done = False
            if descriptor == stdin:
                try:
                    text = text[os.write(stdin, text) :]
                    done = not text
                except BlockingIOError:
                    pass
                except OSError:
                    done = True  # it ended without reading: its standard error gives the reason
            else:
                chunk = os.read(descriptor, 65536)
                read[descriptor] += chunk
                done = not chunk
            if done:
                poll.unregister(descriptor)
                open_ones.discard(descriptor)
                os.close(descriptor)
    for descriptor in open_ones:
        os.close(descriptor)
    return [read[descriptor] for descriptor in outputs]
