# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A signal that comes in the middle of a fork, where Python prints what its handler raises and goes on."""

from __future__ import annotations

import signal

import pytest

from tests.hosts import Host, Lab
from tests.plays import tasks
from tests.plays.playing import Play, started

#: A callback that sends a signal to its own process in the hooks of the fork for the first task.
SENDER = """
import os, signal
from ansible.plugins.callback import CallbackBase

def send():
    if os.getpid() == MAIN and os.environ.pop("SENDS", None):
        os.kill(MAIN, {number})

MAIN = os.getpid()

class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "aggregate", "sender"

    def v2_playbook_on_play_start(self, play):
        os.environ["SENDS"] = "1"
        os.register_at_fork(before=send)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("again", [False, True], ids=["the only task", "a task of many"])
def test_the_run_ends_by_it(lab: Lab, web1: Host, number: signal.Signals, again: bool) -> None:
    several = [tasks.trace("one"), *([tasks.trace("two")] if again else [])]
    with started(lab, Play(several, files={"callback_plugins/sender.py": SENDER.format(number=int(number))})) as run:
        assert run.wait(60) == (99 if number == signal.SIGINT else -number), run.story
        assert "Exception ignored" in run.errors, f"the signal did not come within the hooks\n{run.story}"
        assert not tasks.has_left_trace(run, web1, "two"), run.story
        tasks.wait_until_nothing_is_left(run)
