# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""KILL for what is left after the grace, and the reasons why something is left even then.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
"""

from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.report import user_name
from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    Process,
    ProcessId,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.priority import FirstTurn
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

#: Seconds after the first KILL until what is still there is given up: time for a large process to be taken apart, or a disk to answer.
KILL_SECONDS = 5.0
#: The same while new processes turn up, which on a busy host are hard to catch. Shorter than what the controller waits beyond the grace.
RUNAWAY_SECONDS = 10.0
#: Seconds between two looks, the first and the longest. Each is half as long again as the one before.
SHORTEST_KILL_PAUSE_SECONDS, LONGEST_KILL_PAUSE_SECONDS = 0.001, 0.05
#: Seconds that a shell has to end which was held until the end of the grace.
RELEASE_SECONDS = 2.0
#: When time is up: how often those who have turned up meanwhile are killed, and how many seconds they have to die each time.
LAST_LOOKS, LAST_SECONDS = 3, 0.5


def kill_the_rest(control: "TreeControl") -> None:
    """KILL, and scan until nobody is left: frozen first, for what still runs when its parent dies can fork."""
    held = [tracked for tracked in control.living() if tracked.held]
    control.end_grace()
    with FirstTurn():
        _kill_until_none_is_left(control)
    # What was held and must not be killed goes on now, and dies of the signal that it has had.
    until = control.clock() + RELEASE_SECONDS
    while any(tracked.ended is None for tracked in held) and control.clock() < until:
        control.sleep(LONGEST_KILL_PAUSE_SECONDS / 10)
        control.observe_and_wake()


def _kill_until_none_is_left(control: "TreeControl") -> None:
    began = control.clock()
    pause = SHORTEST_KILL_PAUSE_SECONDS
    while True:
        known = len(control.processes)
        left = _kill(control)
        control.observe_and_wake()
        if not left and not control.scan(last=True):
            return
        runs_away = control.search.missed > 0 or len(control.processes) > known
        if control.clock() - began >= (RUNAWAY_SECONDS if runs_away else KILL_SECONDS):
            break
        control.sleep(pause)
        pause = min(pause * 1.5, LONGEST_KILL_PAUSE_SECONDS)
    _look_for_the_last(control)


def _look_for_the_last(control: "TreeControl") -> None:
    """Out of time, and no scan has found the tree empty. That those whom we know are gone is no proof: somebody may have been born while they died."""
    for dummy in range(LAST_LOOKS):
        _kill(control)
        until = control.clock() + LAST_SECONDS
        control.observe_and_wake()
        while control.targets() and control.clock() < until:
            control.sleep(LONGEST_KILL_PAUSE_SECONDS / 10)
            control.observe_and_wake()
        if control.targets() or not control.scan(last=True):
            return
    # A survivor whom we could not catch, for the user to know of; his supervisor stays with him.
    pid = control.search.missed or list(control.processes.values())[-1].process.id.pid
    runaway = TrackedProcess(Process(ProcessId(pid, 0), 0, "?", 1, "?"), "child")
    runaway.late = True
    control.processes[runaway.process.id] = runaway


def _kill(control: "TreeControl") -> bool:
    """Freeze, and KILL who may be killed. Whether there was anybody."""
    for tracked in control.targets():
        # A sudo above the tree that stopped because of it would stand still for ever, where we can't continue it.
        if tracked.sent != SIGKILL and not tracked.denied and control.may_stop(tracked.process):
            control.signal(tracked, SIGSTOP)
    control.freeze()
    shields = shielding(control)
    anybody = False
    for tracked in control.targets():
        if tracked.process.id in shields:
            control.signal(tracked, SIGCONT)
        elif not tracked.denied:
            anybody = True
            if tracked.sent != SIGKILL:
                control.signal(tracked, SIGKILL)
    return anybody


def shielding(control: "TreeControl") -> "Dict[ProcessId, int]":
    """Who must not get KILL, and because of which pid below it.

    A sudo that is killed can't pass a signal on any more, and its command, which we must not signal, would live on as an orphan.
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
    """Give each survivor its reason. refusal: why sudo was of no use, empty if it was not asked."""
    shields = shielding(control)
    for tracked in control.living():
        process = control.table.process(tracked.process.id.pid)
        if tracked.role == SUPERVISOR and tracked.sent != SIGKILL:
            continue
        if tracked.role != SUPERVISOR and not control.is_target(tracked):
            tracked.reason = "left: kill_children is false"
        elif tracked.denied:
            tracked.reason = "not permitted (owned by %s%s)" % (
                user_name(tracked.user) or "another user",
                "; " + refusal if refusal else "",
            )
        elif tracked.process.id in shields:
            tracked.reason = (
                "not killed: pid %d below it may not be signalled and would live on as an orphan"
                % shields[tracked.process.id]
            )
        elif process is not None and process.state == "D":
            tracked.reason = "uninterruptible (state D)"
        elif tracked.late:
            tracked.reason = "still starting new processes %g s after KILL" % RUNAWAY_SECONDS
        else:
            tracked.reason = "still there %g s after KILL (state %s)" % (
                KILL_SECONDS,
                process.state if process is not None else "?",
            )
