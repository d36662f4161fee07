# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The main process waits for its guardian as long as that lives, and no longer.

Each time is that of the first signal.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import Channel, encode
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import report_frame
from ansible_collections.treekill.remote.plugins.plugin_utils._run import report_wait
from ansible_collections.treekill.remote.plugins.plugin_utils._run.report_wait import (
    GuardianSilent,
    ReportWait,
    guardian_at,
)

from .._recap.test_all_clear import guardian_of
from ..playbook_runs import start_playbook
from ..report_factories import make_run_report

DEAF: dict[str, Any] = {
    "name": "Deaf",
    "ansible.builtin.shell": "trap '' TERM; : > ready; while :; do sleep 0.2; done",
}


class Clock:
    """Each look at it is some seconds later."""

    def __init__(self, step: float) -> None:
        self.now, self._step = 0.0, step

    def __call__(self) -> float:
        self.now += self._step
        return self.now


@pytest.fixture
def ends(monkeypatch):
    monkeypatch.setattr(report_wait, "TICK_SECONDS", 0.01)
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def at(tmp_path: Path, pid: int) -> str:
    (tmp_path / "lock").write_text(str(pid))
    return str(tmp_path / "socket")


def test_the_user_is_told_once_that_the_guardian_is_alive_and_its_answer_is_taken_whenever_it_comes(
    tmp_path, ends
):
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        ends[1].sendall(encode(report_frame(make_run_report())))

    assert (
        ReportWait(Channel(ends[0]), at(tmp_path, os.getpid()), say, Clock(3.0)).next_answer()
        == make_run_report()
    )
    assert said == [
        f"no answer from the guardian yet. It is alive and at work (pid {os.getpid()})."
    ]


def test_a_guardian_that_never_answers_is_left_to_itself_in_the_end(tmp_path, ends):
    with pytest.raises(GuardianSilent, match="it is alive, and has not answered for 120 s"):
        ReportWait(
            Channel(ends[0]), at(tmp_path, os.getpid()), lambda text: None, Clock(3.0)
        ).next_answer()


def test_a_guardian_that_is_gone_is_known_by_its_hang_up(tmp_path, ends):
    ends[1].close()
    with pytest.raises(ConnectionResetError):
        ReportWait(Channel(ends[0]), at(tmp_path, 0), lambda text: None).next_answer()


def test_a_wait_that_has_an_end_comes_to_it(tmp_path, ends):
    assert (
        ReportWait(Channel(ends[0]), at(tmp_path, os.getpid()), lambda text: None).next_answer(
            until=time.monotonic() + 0.05
        )
        is None
    )


@pytest.mark.parametrize("content", ["", "x", "0", "1"])
def test_what_names_no_process_of_this_user_is_none(tmp_path, content, monkeypatch):
    (tmp_path / "lock").write_text(content)
    if content == "1":
        monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert guardian_at(str(tmp_path / "socket")) == (0, False)


def test_a_stopped_guardian_is_named_and_finishes_when_it_goes_on():
    with start_playbook([DEAF]) as play:
        play.wait_for((play.directory / "ready").exists)
        guardian = guardian_of(play)
        os.kill(guardian, signal.SIGSTOP)
        play.process.send_signal(signal.SIGINT)
        play.wait_for(lambda: f"kill -CONT {guardian}" in play.said)
        os.kill(guardian, signal.SIGCONT)
        said = play.finished()
    assert re.search(r"localhost +: ended \d+ .*survivors 0", said), said
    assert "no report from the guardian" not in said


def test_of_a_stopped_guardian_no_user_is_told_that_it_goes_on():
    with start_playbook([DEAF]) as play:
        play.wait_for((play.directory / "ready").exists)
        guardian = guardian_of(play)
        os.kill(guardian, signal.SIGSTOP)
        try:
            play.process.send_signal(signal.SIGINT)
            play.wait_for(lambda: "no answer from the guardian yet" in play.said)
            for dummy in range(2):
                time.sleep(0.3)  # a signal that comes earlier is an echo
                play.process.send_signal(signal.SIGINT)
            play.wait_for(lambda: "not waiting any longer" in play.said)
        finally:
            os.kill(guardian, signal.SIGCONT)
        said = play.finished()
    assert "goes on alone" not in said
    words = f"the guardian is stopped, and ends nothing before it goes on: kill -CONT {guardian}."
    assert f"not waiting any longer; {words}" in " ".join(said.split()), said


def test_the_times_of_a_second_signal_are_counted_from_the_first():
    with start_playbook([DEAF], options={"kill_timeout": 600}) as play:
        play.wait_for((play.directory / "ready").exists)
        began = time.monotonic()
        play.process.send_signal(signal.SIGINT)
        play.wait_for(lambda: "given; grace period" in play.said)
        time.sleep(2.5)
        said = play.interrupt()
        took = time.monotonic() - began
    times = [float(text) for text in re.findall(r"KILL after (?:\d+\.\d+ to )?(\d+\.\d+) s", said)]
    assert times, said
    assert 2.0 < max(times) < took, said
