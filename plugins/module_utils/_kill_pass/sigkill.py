# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""KILL for the processes left after the grace period, and the reason why each survivor is left."""

from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.report_line import (
    user_name,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    Process,
    ProcessId,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.real_time import (
    RealTimeScheduling,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.signaller import (
    SIGCONT,
    SIGKILL,
    SIGSTOP,
)
from ansible_collections.treekill.remote.plugins.module_utils._tree.control import (
    SUPERVISOR,
    TrackedProcess,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

    from ansible_collections.treekill.remote.plugins.module_utils._tree.control import TreeControl

#: Seconds after the first KILL until the rest is given up. A large process takes time to be torn
#: down, and a disk to answer.
KILL_SECONDS = 5.0
#: Seconds until the rest is given up while new processes appear. On a busy host these are hard to
#: catch. The controller waits longer than this beyond the grace period.
RUNAWAY_SECONDS = 10.0
#: Seconds between two looks, the first and the longest pause. Each is half as long again as the one
#: before.
SHORTEST_KILL_PAUSE_SECONDS, LONGEST_KILL_PAUSE_SECONDS = 0.001, 0.05
#: Seconds that a shell has to end, if it was held until the end of the grace period.
RESUMED_SECONDS = 2.0
#: The reason of a row that stands for processes that may be there.
UNSURE = "not confirmed: the host starts processes faster than they can be looked at"
#: When time is up: how many times new processes are killed, and the seconds that they have to die
#: each time.
LAST_LOOKS, LAST_SECONDS = 3, 0.5


def kill_the_rest(control: "TreeControl") -> None:
    """Send KILL, and scan until nothing is left.

    The processes are frozen first: one that still runs when its parent dies can fork.
    """
    control.mark_transactions()
    held = [tracked for tracked in control.targets() if tracked.held]
    control.end_grace()
    with RealTimeScheduling():
        _kill_until_none_is_left(control)
    # What was held and must not be killed continues now, and dies of the signal that it has had.
    until = control.clock() + RESUMED_SECONDS
    while any(tracked.ended is None for tracked in held) and control.clock() < until:
        control.sleep(LONGEST_KILL_PAUSE_SECONDS / 10)
        control.observe_and_resume()


def _kill_until_none_is_left(control: "TreeControl") -> None:
    began = control.clock()
    pause = SHORTEST_KILL_PAUSE_SECONDS
    while True:
        known = len(control.processes)
        left = _kill(control)
        control.observe_and_resume()
        if not left and not control.scan(last=True):
            return
        runs_away = not left or control.search.missed > 0 or len(control.processes) > known
        if control.clock() - began >= (RUNAWAY_SECONDS if runs_away else KILL_SECONDS):
            break
        control.sleep(pause)
        pause = min(pause * 1.5, LONGEST_KILL_PAUSE_SECONDS)
    _look_for_the_last(control)


def _look_for_the_last(control: "TreeControl") -> None:
    """Look for the last processes after the time is up, since no scan has found the tree empty.

    That all known processes are gone proves nothing: others may have been born while they died.
    """
    for dummy in range(LAST_LOOKS):
        _kill(control)
        until = control.clock() + LAST_SECONDS
        control.observe_and_resume()
        while control.targets() and control.clock() < until:
            control.sleep(LONGEST_KILL_PAUSE_SECONDS / 10)
            control.observe_and_resume()
        if control.targets() or not control.scan(last=True):
            return
    # A survivor that could not be caught, to be reported to the user. Its supervisor stays with it.
    # Or there may be none. Then the pid is the last one that the host has given.
    after_grace = [one.process.id.pid for one in control.processes.values() if one.after_grace]
    pid = control.search.missed or (after_grace or [control.table.last_pid() or 0])[-1]
    runaway = TrackedProcess(Process(ProcessId(pid, 0), 0, "?", 1, "?"), "child")
    runaway.after_grace = bool(control.search.missed or after_grace)
    control.processes[runaway.process.id] = runaway


def _kill(control: "TreeControl") -> bool:
    """Freeze, and send KILL to all that may be killed. Return whether there were any."""
    for tracked in control.targets():
        # A sudo above the tree that stops because of it would stay stopped forever, if this user
        # can't continue it.
        if tracked.sent != SIGKILL and not tracked.denied and control.may_stop(tracked.process):
            control.signal(tracked, SIGSTOP)
    control.freeze()
    # Nothing of it moves now: what has begun a transaction meanwhile is not killed in it.
    control.mark_transactions()
    shields = shielding(control)
    found = False
    for tracked in control.targets():
        if tracked.process.id in shields:
            control.signal(tracked, SIGCONT)
        elif not tracked.denied:
            found = True
            if tracked.sent != SIGKILL:
                control.signal(tracked, SIGKILL)
    return found


def shielding(control: "TreeControl") -> "Dict[ProcessId, int]":
    """Return the processes that must not get KILL, with the pid below each that is the reason.

    A sudo that is killed can't pass a signal on any more. Its command, which this user may not
    signal, would keep running as an orphan.
    """
    shields: Dict[ProcessId, int] = {}
    living = {tracked.process.id.pid: tracked for tracked in control.living()}
    for tracked in control.living():
        pid = tracked.process.id.pid
        process = control.table.process(pid) if tracked.denied else None
        while process is not None and process.ppid in living:
            above = living[process.ppid].process.id
            if above in shields:
                break
            shields[above] = pid
            process = control.table.process(above.pid)
    return shields


def explain(control: "TreeControl", refusal: str) -> None:
    """Record the reason of each survivor.

    refusal: why sudo did not help; empty if it was not tried.
    """
    shields = shielding(control)
    for tracked in control.living():
        process = control.table.process(tracked.process.id.pid)
        if tracked.role == SUPERVISOR and tracked.sent != SIGKILL:
            continue
        if tracked.finishes:
            tracked.reason = "left to finish"
        elif (
            tracked.role != SUPERVISOR
            and tracked.process.id.start
            and not control.is_target(tracked)
        ):
            tracked.reason = "left: kill_children is false"
        elif tracked.denied:
            tracked.reason = "not permitted (owned by %s%s)" % (
                user_name(tracked.user) or "another user",
                "; " + refusal if refusal else "",
            )
        elif tracked.process.id in shields:
            tracked.reason = (
                "not killed: pid %d below it may not be signalled"
                " and would keep running as an orphan" % shields[tracked.process.id]
            )
        elif not tracked.process.id.start and not tracked.after_grace:
            tracked.reason = UNSURE
        elif process is not None and process.state == "D":
            tracked.reason = "uninterruptible (state D)"
        elif tracked.after_grace:
            tracked.reason = "still starting new processes %g s after KILL" % RUNAWAY_SECONDS
        else:
            tracked.reason = "still there %g s after KILL (state %s)" % (
                KILL_SECONDS,
                process.state if process is not None else "?",
            )
