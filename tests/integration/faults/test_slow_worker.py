# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A worker that has handed on the result of a polled job, and takes its time to end.

The job has ended by itself, and what it left is wanted.
"""

from __future__ import annotations

import pytest

from tests.support.hosts import Host, Lab
from tests.support.run import tasks
from tests.support.run.playing import Play, started
from tests.support.run.waiting import stays
from tests.support.trees import tree

WHILE = 1.5  #: seconds; longer than the grace

#: Before ansible-core 2.19, a worker that is there when the run is over is terminated, even with
#: output left.
_SLOW = """
import time
from multiprocessing import util
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_NAME = "slow_worker"

    def v2_playbook_on_start(self, playbook):
        end = util._exit_function

        def slow_end(*arguments, **keywords):
            if util._current_process().name != "MainProcess":
                time.sleep(3)
            end(*arguments, **keywords)

        util._exit_function = slow_end
"""


@pytest.mark.parametrize("poll", [1, 2])
def test_what_a_job_left_lives_on(lab: Lab, web1: Host, poll: int) -> None:
    """The guardian learns the end of the job from the process that saw it.

    It does not learn it from the end of that process.
    """
    job = {
        "name": "Leave daemons",
        "ansible.builtin.shell": "{{ lookup('file', 'left.sh') }}",
        "args": {"executable": "/bin/bash"},
    }
    play = Play(
        [{**job, "async": 3600, "poll": poll}],
        options={"kill_timeout": 1},
        files={"callback_plugins/slow_worker.py": _SLOW},
        sections={
            "defaults": {
                "callback_plugins": "callback_plugins",
                "callbacks_enabled": "treekill.remote.guardian, slow_worker",
            }
        },
    )
    with started(lab, play) as run:
        (run.directory / "left.sh").write_text(
            tree.left_behind(run.row, ("nohup", "setsid", "daemon-cleared"))
        )
        assert run.wait(60) == 0, run.story
        assert "TREEKILL RECAP" not in run.errors, run.story
        daemons = web1.processes(rf"^tk-[a-z-]+-{run.row} ")
        assert len(daemons) == 3, run.story
        stays(
            lambda: all(process.id.alive() for process in daemons),
            WHILE,
            f"a daemon was ended\n{run.story}",
        )
        for process in daemons:
            process.id.kill()
        tasks.wait_until_nothing_is_left(run)
