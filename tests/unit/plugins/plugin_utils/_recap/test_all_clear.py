# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The all-clear of a recap, which it gives only if nothing was running.

What goes on without a guard is named, with its reason.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from ..playbook_runs import PlaybookRun, start_playbook
from ..run_factory import PLACES

ALL_CLEAR = "nothing was running on any host"

#: Seconds of a sleep that no other test has.
WORDS = ("sleep", "7251")

#: In a session of its own: core's end of the worker does not reach it.
SLEEP: dict[str, Any] = {"name": "Sleep", "ansible.builtin.command": "setsid " + " ".join(WORDS)}

#: A connection of a collection that runs modules without its exec_command.
MITOGEN = {
    "connection_plugins/mitogen_local.py": """
from ansible.plugins.connection.local import Connection as Local
from ansible_mitogen.connection import Own

DOCUMENTATION = "options: {}\\nname: mitogen_local\\nshort_description: x\\ndescription: x"

class Connection(Own, Local):
    transport = "mitogen_local"
""",
    "python/ansible_mitogen/connection.py": "class Own:\n    pass\n",
    "python/ansible_mitogen/__init__.py": "",
}


def named(play: PlaybookRun, reason: str, host: str = "localhost") -> bool:
    """Whether the recap names the task on that host, with the reason.

    It must not report that nothing was running.
    """
    said = play.interrupt()
    assert ALL_CLEAR not in said, said
    (line,) = [line for line in said.splitlines() if line.startswith(f"{host} ") and reason in line]
    return "task: Sleep" in line


def test_a_run_that_tracks_nothing_starts_and_writes_nothing():
    with start_playbook([SLEEP], options={"track": "none"}) as play:
        pid = play.wait_for_words(*WORDS)
        assert not list(play.directory.glob("treekill-*"))
        assert not (play.directory / ".ansible/treekill").exists()
        main = Path(f"/proc/{play.process.pid}/status").read_text()
        said = play.interrupt()
        assert "treekill" not in said.replace("treekill.remote", "").lower(), said
        assert pid in play.pids()
    with start_playbook([SLEEP], callback=False) as play:
        play.wait_for_words(*WORDS)
        caught = [
            line
            for line in Path(f"/proc/{play.process.pid}/status").read_text().splitlines()
            if line.startswith("SigCgt")
        ]
    assert caught[0] in main


def test_what_a_run_that_tracks_plugins_alone_does_not_see_is_named():
    with start_playbook([SLEEP], options={"track": "plugins"}) as play:
        pid = play.wait_for_words(*WORDS)
        assert named(play, "NOT PROTECTED, and perhaps running (task: Sleep): track is plugins")
        assert pid in play.pids()


def test_what_does_nothing_on_a_host_is_not_named():
    task = {"ansible.builtin.debug": {"msg": "{{ lookup('pipe', 'sleep 7200.5') }}"}}
    with start_playbook([task], options={"track": "plugins"}) as play:
        play.wait_for_words("sleep", "7200.5")
        assert "NOT PROTECTED" not in play.interrupt()


@pytest.mark.parametrize("where", ["task", "host"])
def test_what_the_user_wants_left_alone_is_named_as_such(where):
    task = {**SLEEP, "vars": {"treekill_track": "none"}} if where == "task" else SLEEP
    with start_playbook(
        [task], inventory={"localhost": {"treekill_track": "none"} if where == "host" else {}}
    ) as play:
        pid = play.wait_for_words(*WORDS)
        assert named(play, "left alone, and perhaps running: treekill_track is none")
        assert pid in play.pids()


def test_a_connection_with_a_way_of_its_own_is_named():
    paths = {
        "environ": {"PYTHONPATH": f"python:{PLACES}"},
        "configuration": "connection_plugins = connection_plugins",
    }
    with start_playbook(
        [SLEEP],
        inventory={"localhost": {"ansible_connection": "mitogen_local"}},
        files=MITOGEN,
        **paths,
    ) as play:
        pid = play.wait_for_words(*WORDS)
        assert named(
            play,
            "NOT PROTECTED, and perhaps running (task: Sleep): its connection can't be guarded",
        )
        assert pid in play.pids()


@pytest.mark.parametrize("taken_over", [True, False], ids=["another took over", "none did"])
def test_a_task_whose_guardian_was_killed_is_named(taken_over):
    """A guardian that has taken over does not know what the first one knew.

    If there is none, the whole recap is missing, and that is reported.
    """
    hosts = {"localhost": {}, "other": {}}
    script = "test -e go || { : > waits; until test -e go; do sleep 0.1; done; }"
    later = {
        "name": "Later",
        "ansible.builtin.raw": script,
        "when": "inventory_hostname == 'other'",
    }
    with start_playbook(
        [later, {**SLEEP, "when": "inventory_hostname == 'localhost'"}, later],
        inventory=hosts,
        keywords={"strategy": "free"},
    ) as play:
        play.wait_for_words(*WORDS)
        play.wait_for((play.directory / "waits").exists)
        guardian = guardian_of(play)
        os.kill(guardian, signal.SIGKILL)
        play.wait_for(lambda: guardian not in play.pids())
        if not taken_over:
            assert "no report from the guardian" in play.interrupt()
            return
        (play.directory / "go").touch()
        play.wait_for(lambda: "another one has taken over" in " ".join(play.said.split()))
        assert named(play, "the guardian that guarded it was killed")


def guardian_of(play: PlaybookRun) -> int:
    """Return the process that listens at the socket of the run."""
    inodes = [
        line.split()[6]
        for line in Path("/proc/net/unix").read_text().splitlines()
        if line.split()[-1].startswith(f"{play.directory}/treekill-")
    ]
    (pid,) = [
        pid for pid in play.pids() if _files_of(pid) & {f"socket:[{inode}]" for inode in inodes}
    ]
    return pid


def _files_of(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(FileNotFoundError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found.add(os.readlink(link))
    return found


def test_what_is_guarded_is_not_named():
    with start_playbook([SLEEP]) as play:
        pid = play.wait_for_words(*WORDS)
        said = play.interrupt()
        assert "survivors 0" in said, said
        assert "NOT PROTECTED" not in said
        assert pid not in play.pids()
