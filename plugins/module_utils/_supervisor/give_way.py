# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The supervisor gives way to a kill pass: it stays until the pass ends, and gets every orphan.

If the pass dies, the supervisor goes on by itself.

A pass stops the supervisor like all that it finds. It recognises the supervisor by the title, and
continues it. CONT is blocked here: it stays pending, and has the pid of its sender. If the
supervisor were stopped until the pass resumes it, the death of the pass would leave it stopped
forever.
"""

import os
import time

from ansible_collections.treekill.remote.plugins.module_utils._process.fast_signal import (
    host_signals,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._supervisor.watch import (
        Supervisor,
    )

#: Seconds beyond the grace period after which a living pass counts as stuck.
STAY_SECONDS = 90.0
#: Seconds between two looks.
LOOK_SECONDS = 0.02
#: Seconds of the first pause within a look. Each is half as long again as the one before.
FIRST_CONT_PAUSE_SECONDS = 0.001
#: The si_code of a signal that a process has sent by kill(2), see sigaction(2). Signals of the
#: kernel itself have a greater one.
SI_USER = 0


def give_way(supervisor: "Supervisor") -> bool:
    """Wait until the pass is done. Return whether there was one.

    The pass is done when it sends a second CONT, when it has ended, or when nothing is below this
    process any more.

    Any process may have stopped and continued this one. That is no reason to end what would not end
    otherwise.
    """
    until = (
        time.monotonic()
        + float(supervisor.options.get("timeout", 10.0))
        # The pass may leave a transaction to finish. A pass that is stuck ends by itself earlier.
        + float(supervisor.options.get("finish_timeout", 600.0))
        + STAY_SECONDS
    )
    holder: Optional[Tuple[int, bytes]] = None
    gone = False
    while not supervisor.childless and time.monotonic() < until:
        info = next_continuation(LOOK_SECONDS)
        if info is not None and info.si_code > SI_USER:
            # The kernel sends this one to a process group that lost its session's last parent. It
            # replaces one that a pass sends meanwhile.
            holder = holder or pass_at_work(supervisor.options["run"])
            info = None
        if info is not None and not is_pass(info.si_pid, supervisor.options["run"]):
            # It may have died before this look.
            gone = not started_at(info.si_pid)
            break
        if info is not None:
            sender = (info.si_pid, started_at(info.si_pid))
            if sender == holder:
                break
            holder = sender
        # Pid 0 is outside this pid namespace, and can't be looked at from here.
        if holder is None or holder[0] and (not holder[1] or started_at(holder[0]) != holder[1]):
            gone = holder is not None
            break
        supervisor.reap()
    if gone:
        try:
            resume_above()
        except (MemoryError, OSError):
            pass  # there is a shortage: ending the tree comes first
    return holder is not None


def next_continuation(seconds: float) -> "Any":
    """Return the next CONT and its sender; None if none comes in this many seconds.

    sigtimedwait() must not wait here. If a stop interrupts it at the end of its time, it returns
    what is left of an earlier signal: see signal_sigtimedwait_impl() in CPython.
    """
    until = time.monotonic() + seconds
    pause = FIRST_CONT_PAUSE_SECONDS
    while True:
        info = host_signals.sigtimedwait([host_signals.SIGCONT], 0)
        left = until - time.monotonic()
        if info is not None or left <= 0:
            return info
        time.sleep(min(pause, left))
        pause *= 1.5


def resume_above() -> None:
    """Continue the root, and a sudo above it, that a dead pass has left stopped."""
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ancestors
    from ansible_collections.treekill.remote.plugins.module_utils._process.proc import ProcTable
    from ansible_collections.treekill.remote.plugins.module_utils._supervisor.end_tree import (
        own_root,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._tree.signal_order import RELAYS

    table, root = ProcTable(), own_root()
    own = table.process(os.getpid())
    above, stopped = False, []
    for parent in ancestors(own, table.process) if own is not None else ():
        if above and parent.comm not in RELAYS:
            break
        if parent.stopped:
            stopped.append(parent.id.pid)
        above = above or parent.id.pid == root
    for pid in stopped if above else ():
        try:
            os.kill(pid, host_signals.SIGCONT)
        except OSError:
            pass  # it belongs to another user


def is_pass(pid: int, run: str) -> bool:
    """Whether it may be a kill pass.

    Its command line names the run. Or it is outside this pid namespace. Any other process (htop, a
    shell, systemd) may have continued this one, and may keep running.
    """
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as words:
            return not pid or ("run=%s" % run).encode() in words.read()
    except OSError:
        return not pid


def pass_at_work(run: str) -> "Optional[Tuple[int, bytes]]":
    """Return pid and start time of a kill pass of this run, or of a shell above it.

    Return None if none is at work.
    """
    for name in os.listdir("/proc"):
        if name.isdigit() and is_pass(int(name), run):
            started = started_at(int(name))
            if started:
                return int(name), started
    return None


def started_at(pid: int) -> bytes:
    """Return the start time of a living process; empty for any other. See proc_pid_stat(5)."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as stat:
            fields = stat.read().rpartition(b") ")[2].split()
    except OSError:
        return b""
    return b"" if fields[0] in b"ZX" else fields[19]
