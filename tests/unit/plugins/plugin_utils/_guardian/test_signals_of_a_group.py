# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A signal to the whole process group, which reaches local modules too before ansible-core 2.19.

What these leave behind is a part of the tree.
"""

from __future__ import annotations

import os
import re
import signal

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._supervisor.await_order import (
    ORDER_SECONDS,
)

from ..playbook_runs import start_playbook

#: Starts a daemon whose environment is cleared but for what the test finds it by, and then works.
SCRIPT = (
    "env -i TK_LOCAL_PLAY=$TK_LOCAL_PLAY setsid sleep 7201 < /dev/null > /dev/null 2>&1 & sleep "
    "7202"
)

#: The connection local, by which kill orders come late.
LATE = f"""
import time
from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = "name: late\\nshort_description: late\\noptions: {{}}"

class Connection(Local):
    def exec_command(self, *args, **more):
        if "_treekill_carries_order" in vars(self):
            time.sleep({ORDER_SECONDS + 2})
        return super().exec_command(*args, **more)
"""


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["INT", "TERM", "HUP"]
)
@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "file"])
def test_an_orphan_that_cleared_its_environment_ends_with_the_run(number, pipelining):
    tasks = [{"name": "Work", "ansible.builtin.shell": SCRIPT}]
    with start_playbook(tasks, inventory={"web1": {"ansible_pipelining": pipelining}}) as play:
        orphan = play.wait_for_words("sleep", "7201")
        play.wait_for_words("sleep", "7202")
        os.killpg(play.process.pid, number)
        said = play.finished()
        assert orphan not in play.pids(), said
        assert re.search(r"^web1 : ended [1-9]\d* .*survivors 0", said, re.MULTILINE), said


def test_an_order_that_comes_late_finds_what_a_module_has_left():
    """Its worker is stopped before that, so the supervisor sees that there is one."""
    tasks = [{"name": "Work", "ansible.builtin.shell": SCRIPT}]
    here = {"web1": {"ansible_connection": "late", "ansible_pipelining": True}}
    files = {"connection_plugins/late.py": LATE}
    with start_playbook(
        tasks, inventory=here, configuration="connection_plugins = connection_plugins", files=files
    ) as play:
        orphan = play.wait_for_words("sleep", "7201")
        play.wait_for_words("sleep", "7202")
        os.killpg(play.process.pid, signal.SIGINT)
        said = play.finished()
        assert orphan not in play.pids(), said
        assert re.search(r"^web1 : ended [1-9]\d* .*survivors 0", said, re.MULTILINE), said
