# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process that is alive, or may be, is never reported as gone.

No recap, no sweep and no journal does so.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal import entries

from .._records.test_journal import HEAD
from ..playbook_runs import PlaybookRun, start_playbook
from ..run_factory import PLACES
from .test_all_clear import ALL_CLEAR, MITOGEN, SLEEP, WORDS, guardian_of

LEASE = "00000001"

JOURNAL = ".ansible/treekill/journal"

#: Waits until the test lets it go on.
WAIT = ": > waits; until test -e go; do sleep 0.1; done"


def _named(word: str) -> list[int]:
    """Return the processes with this word on their command line, as their last."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().rstrip(b"\0").endswith(b"\0" + word.encode()):
                found.append(int(path.parent.name))
    return found


@contextlib.contextmanager
def _ending(word: str) -> Iterator[None]:
    try:
        yield
    finally:
        for pid in _named(word):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _lose_guardian(play: PlaybookRun) -> None:
    found: list[int] = []

    def alone() -> bool:
        with contextlib.suppress(ValueError):
            # While it starts its writer, two processes have the socket.
            found.append(guardian_of(play))
        return bool(found)

    play.wait_for(alone)
    (guardian,) = found
    os.kill(guardian, signal.SIGKILL)
    play.wait_for(lambda: guardian not in play.pids())


def _said(play: PlaybookRun) -> str:
    return " ".join(play.said.split())


def test_an_orphan_of_a_command_without_a_supervisor_is_told_as_possible():
    word = f"7253.{secrets.randbelow(10**9):09}"
    raw = {"ansible.builtin.raw": f"(env -i setsid /bin/sleep {word} &) ; exit 0"}
    with _ending(word), start_playbook([raw]) as play:
        play.wait_for(lambda: _named(word))
        said = play.interrupt()
        assert _named(word), "the control: nothing has found it"
        assert "no supervisor was there: an orphan that cleared its environment" in said, said
        assert "nothing was running" not in said, said


@pytest.mark.parametrize("children", [False, True])
def test_a_sweep_that_may_not_end_what_it_finds_fails_and_leaves_the_journal_open(children):
    # A run of its own: the sweep of another test would end processes of an equal run.
    run = secrets.token_hex(8)
    script = f"export TREEKILL={run}/{LEASE}/$$/$PPID; sleep 7254 >&- 2>&- & echo $!"
    orphan = int(
        subprocess.run(["/bin/sh", "-c", script], stdout=subprocess.PIPE, check=True).stdout
    )
    records = [
        HEAD.to_line(run),
        {"opened": LEASE, "host": "localhost"},
        {"over": "interrupted", "at": "now"},
    ]
    files = {f"{JOURNAL}/{run}.jsonl": "".join(json.dumps(record) + "\n" for record in records)}
    role = {"ansible.builtin.include_role": {"name": "treekill.remote.sweep"}}
    options = {"sweep_kill_children": children, "sweep_runs": run, "sweep_journal": "only"}
    try:
        with start_playbook([role], files=files, inventory={"localhost": options}) as play:
            said = play.finished()
            opened = {
                entry.run: entry.open_hosts() for entry in entries(str(play.directory / JOURNAL))
            }[run]
            if children:
                # Where the system hides a process, what may be behind it is open.
                assert (play.process.returncode, opened) == (
                    0,
                    {} if "did not let" not in said else {"localhost": [LEASE]},
                ), said
                return
            assert "nothing is alive" not in said, said
            user = getpass.getuser()
            assert (
                f"Still alive: {orphan} {user} sleep 7254 left: kill_children is false"
                in " ".join(said.split())
            ), said
            assert (play.process.returncode, opened) == (2, {"localhost": [LEASE]}), said
            assert os.path.exists(f"/proc/{orphan}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(orphan, signal.SIGKILL)


def test_once_a_guardian_was_lost_nothing_is_told_as_not_running():
    tasks = [{"ansible.builtin.raw": WAIT}, {"ansible.builtin.pause": {"seconds": 7200}}]
    with start_playbook(tasks) as play:
        play.wait_for((play.directory / "waits").exists)
        _lose_guardian(play)
        (play.directory / "go").touch()
        play.wait_for(
            lambda: "TASK [pause]" in _said(play) or "TASK [ansible.builtin.pause]" in _said(play)
        )
        said = play.interrupt()
        assert ALL_CLEAR not in said, said
        assert "A guardian of this run was lost" in said, said
        assert "treekill.remote.sweep" in said, said


def test_a_command_that_returned_after_its_guardian_was_lost_is_not_open():
    """Its journal has the return: a sweep would end what the task has left on purpose."""
    with start_playbook([{"ansible.builtin.raw": WAIT}]) as play:
        play.wait_for((play.directory / "waits").exists)
        _lose_guardian(play)
        (play.directory / "go").touch()
        said = play.finished()
        directory = str(play.directory / JOURNAL)
        deadline = time.monotonic() + 60
        while [entry.state for entry in entries(directory)] != ["finished"]:
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        assert [entry.open_hosts() for entry in entries(directory)] == [{}], said


def test_the_report_of_an_interrupted_run_names_an_unprotected_host_without_a_tree():
    files = {
        "environ": {"PYTHONPATH": f"python:{PLACES}"},
        "configuration": "connection_plugins = connection_plugins",
        "files": MITOGEN,
    }
    inventory = {"localhost": {"ansible_connection": "mitogen_local"}}
    with start_playbook(
        [SLEEP], inventory=inventory, options={"report_path": "report.json"}, **files
    ) as play:
        play.wait_for_words(*WORDS)
        said = play.interrupt()
        told = json.loads((play.directory / "report.json").read_text())
        assert [(entry["host"], entry["connection"]) for entry in told["unprotected"]] == [
            ("localhost", "mitogen_local")
        ], said
        assert (told["trees"], told["cause"]) == ([], "SIGINT")
