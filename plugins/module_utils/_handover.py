# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Hands a pass over to root by sudo, where sudo asks for no password, and takes it over there.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
A file of its own because a host compiles it only for a tree with processes that we must not signal: commands that it ran by sudo.
"""

import os
import select
import sys
import time

from ansible_collections.treekill.remote.plugins.module_utils._kill_report import MARK
from ansible_collections.treekill.remote.plugins.module_utils._process_table import ProcessId

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._kill_pass import KillPass

# Seconds beyond timeout that root's pass may take: its freezes, its KILL phase, sudo's own delays (name service, PAM) and a loaded host.
EXTRA_SECONDS = 20.0


def hand_over(kill_pass: "KillPass", program: "str") -> "Tuple[str, str]":
    """Run the program as root, with what was found so far. (report line, "") or ("", why not)."""
    request = kill_pass.request
    request.found = ",".join("%d:%d" % (fate.process.id.pid, fate.process.id.start) for fate in kill_pass.control.living())
    request.began = kill_pass.began
    # The program goes through stdin: sudo writes the command line to the system's log.
    command = ["sudo", "-n", sys.executable or "python3", "-I", "-S", "-", *request.words()]
    request.found = ""
    output, errors, status = _run(command, program.encode("utf-8"), time.monotonic() + request.timeout + EXTRA_SECONDS)
    for line in output.splitlines():
        if line.startswith("%s %s " % (MARK, request.nonce)):
            return line, ""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return "", "sudo -n: " + (lines[-1].replace("sudo: ", "", 1) if lines else "status %d" % status)


def take_over(kill_pass: "KillPass") -> "None":
    """Put in what an earlier pass found, as far as these are still the same processes."""
    control = kill_pass.control
    for word in kill_pass.request.found.split(","):
        pid, dummy, start = word.partition(":")
        process = control.table.process(int(pid))
        if process is not None and process.id == ProcessId(int(pid), int(start)):
            control.search.take(process, control.search.is_root(process))


def _run(command: "List[str]", text: "bytes", until: "float") -> "Tuple[str, str, int]":
    """stdout, stderr and wait status of a command that reads text and has a session of its own. subprocess takes 10 ms to import."""
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
            os.write(2, ("%s" % (error.strerror or error)).encode())
        finally:
            os._exit(127)
    for descriptor in (pipes[0][0], pipes[1][1], pipes[2][1]):
        os.close(descriptor)
    try:
        os.write(pipes[0][1], text)  # less than the 64 KiB that a pipe takes without a reader
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
    return output, errors + ("no end within %d s" % EXTRA_SECONDS if waiting else ""), status
