# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The wait for transactions that are left to finish, when all else of the tree is gone."""

import os

from ansible_collections.treekill.remote.plugins.module_utils._process.signaller import SIGKILL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.kill_pass import (
        KillPass,
    )

#: Seconds between two looks. When a transaction is over, a module goes on with its next step until
#: the next look.
FINISH_LOOK_SECONDS = 0.01
#: The pause after a look, in times of its own length.
FINISH_PAUSES = 10


def await_transactions(kill_pass: "KillPass") -> None:
    """Wait until no transaction is left or the time for them is over, and end the rest then.

    Targets that appear meanwhile are ended at once.
    """
    control = kill_pass.control
    transactions = control.transactions
    if transactions is None:
        return
    kill_pass.prolong()
    until = (transactions.began or control.clock()) + kill_pass.request.finish_timeout
    # What KILL did not end, it will not end a second time.
    left = {tracked.process.id for tracked in control.targets()}
    while transactions.mark():
        began = control.clock()
        if began >= until:
            transactions.give_up()
            break
        control.observe_and_resume()
        control.scan()
        if any(
            tracked.process.id not in left and tracked.sent != SIGKILL
            for tracked in control.targets()
        ):
            kill_pass.end_all()
            left = {tracked.process.id for tracked in control.targets()}
        spent = control.clock() - began
        longest = FINISH_PAUSES * FINISH_LOOK_SECONDS
        control.sleep(max(min(FINISH_PAUSES * spent, longest), FINISH_LOOK_SECONDS))
    kill_pass.end_all()


def finish_in_background(kill_pass: "KillPass") -> None:
    """Wait for a transaction in a separate process, which holds no channel open."""
    try:
        if os.fork():
            return
    except OSError:
        return  # the pass that was hurried, or the supervisor, sees to it
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(null, descriptor)
        await_transactions(kill_pass)
    finally:
        kill_pass.control.resume_supervisors()
        os._exit(0)
