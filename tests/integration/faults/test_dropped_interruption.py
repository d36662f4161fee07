# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A signal that reaches the main process where the interpreter drops what a handler raises.

It still interrupts the run.
"""

from __future__ import annotations

import pytest

from tests.support.hosts import Host, Lab
from tests.support.run import tasks
from tests.support.run.playing import Play, started
from tests.support.trees.triggers import INT, TERM, Trigger

#: A hook after the fork of a worker, as the modules `logging` and `random` have one. The signal
#: arrives within it.
_HOOK = """
import os, signal
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_NAME = "arrives_in_a_hook"

    def v2_runner_on_start(self, host, task):
        if not hasattr(self, "fired"):
            self.fired = False
            os.register_at_fork(after_in_parent=self.fire)

    def fire(self):
        if not self.fired:
            self.fired = True
            os.kill(os.getpid(), signal.NUMBER)
"""


@pytest.mark.parametrize(
    ("trigger", "number"), [(INT, "SIGINT"), (TERM, "SIGTERM")], ids=["INT", "TERM"]
)
def test_an_interruption_that_the_interpreter_drops_interrupts_the_run(
    lab: Lab, web1: Host, trigger: Trigger, number: str
) -> None:
    """A play that ignores errors would end well: each of its tasks is refused, and goes on."""
    play = Play(
        [tasks.trace("first", ignore_errors=True), tasks.trace("second", ignore_errors=True)],
        files={"callback_plugins/arrives_in_a_hook.py": _HOOK.replace("NUMBER", number)},
        sections={
            "defaults": {
                "callback_plugins": "callback_plugins",
                "callbacks_enabled": "treekill.remote.guardian, arrives_in_a_hook",
            }
        },
    )
    with started(lab, play) as run:
        assert run.wait(60) == trigger.status, run.story
        assert "Exception ignored" in run.errors, f"it was not dropped\n{run.story}"
        assert not tasks.has_left_trace(run, web1, "second"), run.story
        tasks.wait_until_nothing_is_left(run)
