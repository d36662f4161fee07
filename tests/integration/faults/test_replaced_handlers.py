# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another plugin, or a later core, that replaces our signal handlers.

The user is told once, and the run is still guarded.
"""

from __future__ import annotations

import re

from tests.support.hosts import Lab
from tests.support.run import tasks
from tests.support.run.playing import Play, started
from tests.support.trees.triggers import INT, TERM

#: It does so at the start of each task, before its workers are there.
RUDE = """
import signal
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "rude"

    def v2_playbook_on_task_start(self, task, is_conditional):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
"""


def test_replaced_signal_handlers_are_told_once_and_put_back(lab: Lab) -> None:
    play = Play(
        [tasks.trace(), tasks.grow()],
        options={"kill_timeout": 1},
        files={"callback_plugins/rude.py": RUDE},
    )
    for trigger in (INT, TERM):
        with started(lab, play) as run:
            tasks.wait_for_tree(run, [lab["web1"]])
            trigger.fire(run, lab)
            assert run.wait(60) == trigger.status, run.story
            tasks.wait_until_gone(run, [lab["web1"]])
            assert (
                tasks.said(run).count(
                    "has replaced the signal handlers of this run (SIGINT, SIGTERM)"
                )
                == 1
            ), run.story
            assert re.search(r"^web1 +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE), (
                run.story
            )
        lab["web1"].reset()
