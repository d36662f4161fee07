# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports of what can't be guarded: one warning for a host, and a line in the recap."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.hosts import Lab
from tests.support.run import tasks
from tests.support.run.playing import Play, started
from tests.support.trees.triggers import INT

#: A connection that does all that ssh does, but does not show the options by which it could be made
#: again.
SECRETIVE = """
from ansible.plugins.connection.ssh import DOCUMENTATION, Connection as Ssh

class Connection(Ssh):
    transport = "secretive"

    def get_options(self, *dummy):
        raise ValueError("its options are private")
"""

#: What makes a host one that can't be guarded, and the reason that is given.
UNGUARDED = {
    "secretive": ({"ansible_connection": "secretive"}, "its options are private"),
    "ssh": (
        {"ansible_shell_type": "powershell"},
        "its shell is no POSIX shell (family powershell)",
    ),
}

#: Three tasks of which two do something on web2, and then a tree on web1.
TASKS: list[dict[str, Any]] = [
    {"name": "One", "ansible.builtin.raw": "true", "ignore_errors": True},
    {"name": "Nothing on the host", "ansible.builtin.debug": {"msg": "x"}},
    {"name": "Two", "ansible.builtin.raw": "true", "ignore_errors": True},
    tasks.grow(when="inventory_hostname == 'web1'"),
]


def play(web2: dict[str, str]) -> Play:
    return Play(
        TASKS,
        hosts=("web1", "web2"),
        host_variables={"web2": web2},
        options={"kill_timeout": 1},
        files={"connection_plugins/secretive.py": SECRETIVE},
    )


@pytest.mark.parametrize("connection", UNGUARDED)
def test_a_host_that_cannot_be_guarded_is_named_once_and_in_the_recap(
    lab: Lab, connection: str
) -> None:
    variables, reason = UNGUARDED[connection]
    with started(lab, play(variables)) as run:
        tasks.wait_for_tree(run, [lab["web1"]])
        INT.fire(run, lab)
        assert run.wait(40) == INT.status, run.story
        tasks.wait_until_gone(run, [lab["web1"]])
        said = tasks.said(run)
        assert (
            said.count(
                f"web2 is not protected: what runs there over the connection {connection} would "
                "outlive the run"
            )
            == 1
        ), run.story
        assert re.search(
            rf"^web2 +: NOT PROTECTED over {connection}: .*{re.escape(reason)}",
            run.errors,
            re.MULTILINE,
        ), run.story
        assert "web1 is not protected" not in said, run.story
        assert re.search(r"^web1 +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE), (
            run.story
        )


def test_a_user_that_wants_a_host_left_alone_is_not_warned(lab: Lab) -> None:
    with started(lab, play({**UNGUARDED["ssh"][0], "treekill_track": "none"})) as run:
        tasks.wait_for_tree(run, [lab["web1"]])
        INT.fire(run, lab)
        assert run.wait(40) == INT.status, run.story
        assert not re.search("not protected", tasks.said(run), re.IGNORECASE), run.story


#: A connection of which nothing is known: a server might run its commands to their end.
FARAWAY = '''
DOCUMENTATION = """
name: faraway
options:
  faraway_config:
    vars: [{name: faraway_config}]
"""
import subprocess
from ansible.plugins.connection import ConnectionBase

class Connection(ConnectionBase):
    transport = "faraway"
    has_pipelining = True

    def _connect(self):
        self._connected = True

    def _run(self, command, **more):
        words = ["ssh", "-F", self.get_option("faraway_config"), "web1", command]
        done = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        return (*done.communicate(**more), done)

    def exec_command(self, cmd, in_data=None, sudoable=True):
        out, errors, done = self._run(cmd, input=in_data)
        return done.returncode, out, errors

    def put_file(self, in_path, out_path):
        with open(in_path, "rb") as file:
            self._run(f"cat > {out_path}", input=file.read())

    def fetch_file(self, in_path, out_path):
        with open(out_path, "wb") as file:
            file.write(self._run(f"cat {in_path}")[0])

    def close(self):
        self._connected = False
'''

#: What is told of it.
UNSEEN = "what runs on web1 is NOT PROTECTED when the controller is gone: it is not known whether"


def faraway(lab: Lab, **more: Any) -> Play:
    return Play(
        [tasks.grow()],
        host_variables={
            "web1": {
                "ansible_connection": "faraway",
                "faraway_config": str(lab.ssh_config),
                "ansible_python_interpreter": "/usr/bin/python3",
            }
        },
        options={"kill_timeout": 1, **more},
        files={"connection_plugins/faraway.py": FARAWAY},
    )


def test_a_connection_of_which_nothing_is_known_is_guarded_and_its_user_is_told(lab: Lab) -> None:
    """An interruption ends the tree. A host may not see that the controller is gone."""
    with started(lab, faraway(lab)) as run:
        tasks.wait_for_tree(run, [lab["web1"]])
        assert tasks.said(run).count(UNSEEN) == 1, run.story
        INT.fire(run, lab)
        assert run.wait(40) == INT.status, run.story
        tasks.wait_until_gone(run, [lab["web1"]])
        assert re.search(r"^web1 +: ended \d+ .*survivors 0", run.errors, re.MULTILINE), run.story


def test_a_task_that_may_outlive_its_connection_is_not_told_of(lab: Lab) -> None:
    with started(lab, faraway(lab, on_disconnect="keep")) as run:
        tasks.wait_for_tree(run, [lab["web1"]])
        assert UNSEEN not in tasks.said(run), run.story
