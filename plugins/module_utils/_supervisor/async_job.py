# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The supervisor of an asynchronous job: it stays with the job when the command that started it has returned.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
"""

import os

from ansible_collections.treekill.remote.plugins.module_utils._process.fast_signal import (
    host_signals,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional

    from ansible_collections.treekill.remote.plugins.module_utils._supervisor.watch import (
        Supervisor,
    )

#: See flags in proc_pid_stat(5), and include/linux/sched.h.
PF_EXITING = 4


def relay_status(listener: "Any", mask: "Any") -> "Optional[int]":
    """Fork. The child, where this returns, becomes the supervisor; the parent, whom the shell waits for, ends as the module does.

    listener: the socket of the lease, if it is there already. mask: of the signals, as it is to be in the parent.
    Returns the descriptor to write the status to; None where there is none to be had, or no process: then the job is on its own.
    """
    from ansible_collections.treekill.remote.plugins.module_utils._supervisor.libc import (
        is_subreaper,
    )

    try:
        read_end, write_end = os.pipe()
    except OSError:
        return None
    try:
        parent = os.fork()
    except OSError:
        os.close(read_end)
        os.close(write_end)
        return None
    if not parent:
        os.close(read_end)
        is_subreaper()
        if listener is not None:
            listener.listen(8)  # from here on it is this process that others see at the other end
        return write_end
    os.close(write_end)
    if listener is not None:
        listener.close()
    from ansible_collections.treekill.remote.plugins.module_utils._supervisor.exit import end_like

    host_signals.pthread_sigmask(host_signals.SIG_SETMASK, mask)
    status = os.read(read_end, 16)
    return end_like(int(status) if status else 1 << 8)


def stay_with_job(supervisor: "Supervisor") -> None:
    """Tell the status, let go of the channel, and wait until the job itself has ended: for what it leaves behind nobody waits."""
    if supervisor.relay is None:
        return
    try:
        os.write(supervisor.relay, b"%d" % (supervisor.status or 0))
    except BrokenPipeError:
        pass  # the process that the shell waits for was ended
    os.close(supervisor.relay)
    for descriptor in (1, 2):
        os.dup2(0, descriptor)
    supervisor.watch_nothing()
    while job_goes_on([os.fsencode(word) for word in supervisor.arguments[:2]]):
        supervisor.channel_breaks()
        supervisor.reap()
    supervisor.give_way()
    os._exit(0)


def job_goes_on(words: "List[bytes]") -> bool:
    """Whether one of our children is what core leaves to watch the job: a fork of what started it, by path and job id on the command line.

    Who is on its way out shows no command line any more, and may still have a child that will be ours: the signal of its end wakes us again.
    """
    try:
        with open("/proc/self/task/%d/children" % os.getpid(), "rb") as children:
            pids = [int(pid) for pid in children.read().split()]
    except OSError:
        return False  # a kernel that does not tell: then the job is on its own
    for pid in pids:
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as arguments:
                found = set(words).issubset(arguments.read().split(b"\0"))
            # Asked afterwards: it begins to end before it loses its command line.
            with open("/proc/%d/stat" % pid, "rb") as stat:
                flags = int(stat.read().rpartition(b") ")[2].split()[6])
        except OSError:
            continue  # another user's, on a host that hides those
        if found or flags & PF_EXITING:
            return True
    return False
