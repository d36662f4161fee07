# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command of the user: what it gets, what it never gets, and how long a run waits for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.recap import Recap
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.verdict_data import VerdictData
from ansible_collections.treekill.remote.plugins.plugin_utils._records.notify import (
    notify,
    notify_alone,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.fork import RUN_SIGNALS
from hypothesis import given

from ..playbook_runs import start_playbook
from ..report_factories import RESULTS, make_process, make_report, make_result, make_run_report

SECRET = "hunter2-7262"
DATA = VerdictData(
    "00000000000000aa",
    "SIGINT",
    "1 host: 1 ended clean",
    {"ended clean": 1},
    {"web1": "ended clean"},
)


@pytest.fixture
def script(tmp_path):
    """Return a command that writes its input to a file, and the path of that file."""
    told = tmp_path / "told.json"
    path = tmp_path / "notify"
    path.write_text(f"#!/bin/sh\ncat > {told}.new && mv {told}.new {told}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path), told


def test_the_command_gets_one_line_of_json(script):
    command, told = script
    assert notify(command, DATA) == ""
    assert told.read_text() == (
        '{"run": "00000000000000aa", "cause": "SIGINT", "verdict": "1 host: 1 ended clean",'
        ' "counts": {"ended clean": 1}, "hosts": {"web1": "ended clean"}}\n'
    )


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("/no/such/command", "No such file"),
        ("'", "No closing quotation"),
        ("false", "exit status 1"),
        ("sleep 7263", "had not ended after 0.2 s"),
    ],
)
def test_a_command_that_fails_is_told_and_holds_nothing_up(command, why):
    assert why in notify(command, DATA, seconds=0.2)


#: Another user runs the command, as the user of a run would.
OTHER_USER = """
import os, sys
sys.path[:] = %r
from ansible_collections.treekill.remote.plugins.plugin_utils._records.notify import notify
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.verdict_data import VerdictData
os.setgid(65534)
os.setuid(65534)
print(notify(sys.argv[1], VerdictData('', '', '', {}, {}), seconds=0.2))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user")
def test_a_command_that_becomes_root_holds_nothing_up():
    """As `sudo` does. Only root could end it."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        becoming = shutil.copy(shutil.which("setpriv"), directory)
        os.chmod(becoming, 0o4755)
        done = subprocess.run(
            [sys.executable, "-c", OTHER_USER % (sys.path,), f"{becoming} --reuid=0 sleep 5"],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stdout == "it had not ended after 0.2 s, and could not be killed\n", done.stderr


@given(RESULTS)
def test_the_counts_in_the_data_are_those_of_the_verdict(results):
    told = Recap(make_run_report(results), True).verdict_data.to_message()
    assert sum(told["counts"].values()) == len(told["hosts"])
    assert {*told["hosts"]} == {one["host"] for one in results}
    for words, number in told["counts"].items():
        assert f"{number} {words}" in told["verdict"]


def test_no_command_line_task_or_reason_gets_into_the_data():
    secret = make_process(2, command=SECRET, reason=SECRET, user=SECRET)
    results = [
        make_result(
            task=SECRET, reason=SECRET, report=make_report(gone=[secret], survivors=[secret])
        ),
        make_result("web2", task=SECRET, reason=SECRET, outcome="failed"),
    ]
    told = Recap(make_run_report(results), True)
    assert SECRET in " ".join(line.text for line in told.lines()), "the control"
    assert SECRET not in json.dumps(told.verdict_data.to_message())


def test_without_the_main_process_no_host_is_clean(script):
    command, told = script
    clean = make_result(report=make_report(gone=[make_process(2)], supervised=True))
    notify_alone(command, make_run_report([clean], "the main process is gone"))
    assert json.loads(told.read_text())["hosts"] == {"web1": "ended as far as seen"}


def test_without_the_main_process_the_command_ignores_no_signal(tmp_path):
    """A guardian ignores those that interrupt a run."""
    told = tmp_path / "told"
    before = {number: signal.signal(number, signal.SIG_IGN) for number in RUN_SIGNALS}
    try:
        notify_alone(
            f"sh -c 'cat >/dev/null; grep SigIgn: /proc/$$/status >{told}'",
            make_run_report([make_result()], "the main process is gone"),
        )
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    ignored = int(told.read_text().split()[1], 16)
    assert not [number for number in RUN_SIGNALS if ignored & 1 << number - 1]


SLEEP = {"name": f"Sleep {SECRET}", "ansible.builtin.command": "sleep 7264"}


def wait_until(condition):
    """Wait also when the main process has ended."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def told_of(play):
    path = play.directory / "told.json"
    wait_until(path.exists)
    return json.loads(path.read_text())


#: `sh -c` in one word: the command is split into words as a shell does.
OPTIONS = {"notify_command": "sh -c 'cat > told.new && mv told.new told.json'"}


def test_an_interrupted_run_hands_its_verdict_to_the_command():
    with start_playbook([SLEEP], options=OPTIONS) as play:
        play.wait_for_words("sleep", "7264")
        said = play.interrupt()
        told = told_of(play)
        assert told["cause"] == "SIGINT"
        assert told["verdict"] == "1 host: 1 ended clean"
        assert told["verdict"] == said.strip().splitlines()[-1], said
        assert SECRET not in json.dumps(told)


def test_if_the_main_process_is_killed_the_guardian_hands_it_over():
    with start_playbook([SLEEP], options=OPTIONS) as play:
        pid = play.wait_for_words("sleep", "7264")
        os.kill(play.process.pid, signal.SIGKILL)
        told = told_of(play)
        assert told["cause"] == "the main process is gone"
        assert told["verdict"] == "1 host: 1 ended as far as seen"
        assert pid not in play.pids()


def test_a_run_that_nothing_interrupts_does_not_run_the_command():
    with start_playbook([{"ansible.builtin.command": "true"}], options=OPTIONS) as play:
        play.finished()
        wait_until(lambda: not play.pids())
        assert not (play.directory / "told.json").exists()
