# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The supervisor of an asynchronous job: it stays with the job after its command has returned."""

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
    """Fork. Return in the child, which becomes the supervisor. The parent ends as the module does.

    The shell waits for the parent.

    listener: the socket of the lease, if it exists already.
    mask: of the signals, for the parent.

    Return the descriptor to write the status to. Return None if there is no descriptor or process:
    then the job has no supervisor.
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
            listener.listen(8)  # from here on, this process appears at the other end of connections
        return write_end
    os.close(write_end)
    if listener is not None:
        listener.close()
    from ansible_collections.treekill.remote.plugins.module_utils._supervisor.exit import end_like

    host_signals.pthread_sigmask(host_signals.SIG_SETMASK, mask)
    status = os.read(read_end, 16)
    return end_like(int(status) if status else 1 << 8)


def stay_with_job(supervisor: "Supervisor") -> None:
    """Send the status, release the channel, and wait until the job itself has ended.

    Nothing waits for what the job leaves behind.
    """
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
    words = [os.fsencode(word) for word in supervisor.arguments[:2]]
    if supervisor.has_pulse and supervisor.pulse is None:
        supervisor.become_idle()
    while job_goes_on(words):
        if supervisor.channel_breaks():
            supervisor.end()  # the run is gone
        supervisor.reap()
    supervisor.give_way()
    os._exit(0)


def job_goes_on(words: "List[bytes]") -> bool:
    """Whether one of the children is the process that core leaves to watch the job.

    It is a fork of the process that started it, recognised by path and job id on its command line.

    A process that is exiting shows no command line any more. It may still have a child that becomes
    a child of this process: the signal of its end wakes this process again.
    """
    try:
        with open("/proc/self/task/%d/children" % os.getpid(), "rb") as children:
            pids = [int(pid) for pid in children.read().split()]
    except OSError:
        return False  # a kernel that does not list children: then the job has no supervisor
    for pid in pids:
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as arguments:
                found = set(words).issubset(arguments.read().split(b"\0"))
            # Read afterwards: a process begins to exit before it loses its command line.
            with open("/proc/%d/stat" % pid, "rb") as stat:
                flags = int(stat.read().rpartition(b") ")[2].split()[6])
        except OSError:
            continue  # it belongs to another user, on a host that hides those
        if found or flags & PF_EXITING:
            return True
    return False
