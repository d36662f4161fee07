# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A supervisor gives way to a kill pass: it stays until the pass has ended, and gets every orphan. Where the pass dies, it goes on by itself.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.

A pass stops the supervisor as it stops all that it finds, sees by the title what it is, and continues it. CONT is blocked here: it stays pending,
and tells by whom it was sent. A supervisor that stood still until the pass lets it go would stand still for ever after the death of that.
"""

import os
import time

from ansible_collections.treekill.remote.plugins.module_utils._process.fast_signal import (
    host_signals,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

    from ansible_collections.treekill.remote.plugins.module_utils._supervisor.watch import (
        Supervisor,
    )

#: Seconds beyond the grace after which a pass that still lives is not waited for any more: it would be stuck.
STAY_SECONDS = 90.0
#: Seconds between two looks.
LOOK_SECONDS = 0.02
#: What a process has sent by kill(2) has this si_code, see sigaction(2); what the kernel sends by itself has a greater one.
SI_USER = 0


def give_way(supervisor: "Supervisor") -> bool:
    """Return when the pass lets us go by a second CONT, has ended, or nothing is below us any more. Whether there was one.

    Anybody may have stopped and continued us: that is no reason to end what would not be ended without it.
    """
    until = time.monotonic() + float(supervisor.options.get("timeout", 10.0)) + STAY_SECONDS
    holder: Optional[Tuple[int, bytes]] = None
    gone = False
    while not supervisor.childless and time.monotonic() < until:
        told = host_signals.sigtimedwait([host_signals.SIGCONT], LOOK_SECONDS)
        if told is not None and told.si_code > SI_USER:
            # The kernel's own, for a process group that lost its session's last parent. It takes the place of one that a pass sends meanwhile.
            holder = holder or pass_at_work(supervisor.options["run"])
            told = None
        if told is not None and not is_pass(told.si_pid, supervisor.options["run"]):
            # It may have died before we looked.
            gone = not started_at(told.si_pid)
            break
        if told is not None:
            sender = (told.si_pid, started_at(told.si_pid))
            if sender == holder:
                break
            holder = sender
        # Pid 0: it looks into our pid namespace from outside, and can't be looked at from here.
        if holder is None or holder[0] and (not holder[1] or started_at(holder[0]) != holder[1]):
            gone = holder is not None
            break
        supervisor.reap()
    if gone:
        try:
            wake_above()
        except (MemoryError, OSError):
            pass  # there is not enough for it: to end the tree comes first
    return holder is not None


def wake_above() -> None:
    """Continue the root, and a sudo above it, which a pass that died has left stopped."""
    from ansible_collections.treekill.remote.plugins.module_utils._process.model import ancestors
    from ansible_collections.treekill.remote.plugins.module_utils._process.proc import ProcTable
    from ansible_collections.treekill.remote.plugins.module_utils._supervisor.end_tree import (
        own_root,
    )
    from ansible_collections.treekill.remote.plugins.module_utils._tree.turns import RELAYS

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
            pass  # another user's


def is_pass(pid: int, run: str) -> bool:
    """Whether it may be a kill pass: its command line names the run, or it looks into our pid namespace from outside.

    Any other process (htop, a shell, systemd) may have continued us and live on.
    """
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as words:
            return not pid or ("run=%s" % run).encode() in words.read()
    except OSError:
        return not pid


def pass_at_work(run: str) -> "Optional[Tuple[int, bytes]]":
    """The pid and start time of a kill pass of this run, or of a shell above it; None if none is at work."""
    for name in os.listdir("/proc"):
        if name.isdigit() and is_pass(int(name), run):
            started = started_at(int(name))
            if started:
                return int(name), started
    return None


def started_at(pid: int) -> bytes:
    """The start time of a process that lives; empty for any other. See proc_pid_stat(5)."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as stat:
            fields = stat.read().rpartition(b") ")[2].split()
    except OSError:
        return b""
    return b"" if fields[0] in b"ZX" else fields[19]
