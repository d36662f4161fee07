# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ctrl-C while a host has not answered yet.

If nothing can have begun there, the run ends at once, and the recap has it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ..playbook_runs import PlaybookRun, start_playbook
from ..ssh_servers import firewalled_port, port

pytestmark = pytest.mark.skipif(not shutil.which("ssh"), reason="there is no ssh here")

TASKS = [{"name": "Work", "ansible.builtin.command": "true"}]

#: With C(track=plugins) a host is known by its address.
NOT_BEGUN = re.compile(
    r"^(?:web1|127\.0\.0\.1) : nothing had begun \(task: Work\): its command had not been sent$",
    re.MULTILINE,
)

WAYS: dict[str, dict[str, Any]] = {
    "core": {},
    "own connection": {"connection": "treekill.remote.ssh", "track": "plugins"},
    "retries": {"retries": 3},
    "paramiko": {"connection": "treekill.remote.paramiko_ssh"},
}

#: Seconds after which ssh gives up, with C(timeout) as it is. It is longer than any run that does
#: not wait for that.
GIVES_UP = 10.0


@contextlib.contextmanager
def playing_at(
    number: int,
    *,
    configuration: str = "",
    retries: int = 0,
    connection: str = "ssh",
    track: str = "all",
) -> Iterator[PlaybookRun]:
    """A play for a host that is behind a port of this machine."""
    web1: dict[str, Any] = {
        "ansible_connection": connection,
        "ansible_host": "127.0.0.1",
        "ansible_port": number,
        "ansible_ssh_retries": retries,
    }
    options = {"report_path": "report.json", "kill_retry_for": 0, "track": track}
    with start_playbook(
        TASKS,
        inventory={"web1": web1},
        options=options,
        configuration=f"host_key_checking = false\n{configuration}",
    ) as play:
        yield play


def await_outcomes(play: PlaybookRun, expected: Sequence[str]) -> None:
    """Wait for the outcomes. The guardian goes on alone if the recap did not wait for it."""
    path, deadline = play.directory / "report.json", time.monotonic() + 60
    found: list[str] = []
    while found != [*expected]:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
        if path.exists():
            found = [tree["outcome"] for tree in json.loads(path.read_text())["trees"]]


def tries_to_connect(pid: int) -> bool:
    """Whether a process has a TCP socket in the state SYN_SENT."""
    folder = Path(f"/proc/{pid}/fd")
    sockets = {os.readlink(path) for path in folder.iterdir() if path.is_symlink()}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[3] == "02" and f"socket:[{row[9]}]" in sockets for row in rows)


def assert_nothing_had_begun(play: PlaybookRun) -> None:
    began = time.monotonic()
    said = play.interrupt()
    assert time.monotonic() - began < GIVES_UP / 2, said
    assert play.process.returncode == 99, said
    assert NOT_BEGUN.search(said), said
    assert "NOT CONFIRMED" not in said
    assert "To end what is left" not in said
    await_outcomes(play, ["not begun"])


def assert_not_confirmed(play: PlaybookRun) -> None:
    said = play.interrupt()
    assert re.search(r"^web1 : NOT CONFIRMED \(task: Work\)", said, re.MULTILINE), said
    assert "nothing had begun" not in said
    await_outcomes(play, ["unreachable"])


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_server_that_says_nothing_has_begun_nothing(way):
    with port() as silent, playing_at(silent.number, **way) as play:
        silent.accept()
        assert_nothing_had_begun(play)


def test_a_server_that_answers_no_packet_has_begun_nothing():
    with firewalled_port() as number, playing_at(number) as play:
        client = play.wait_for_words("ssh")
        play.wait_for(lambda: tries_to_connect(client))
        assert_nothing_had_begun(play)


def test_a_server_that_stands_still_after_its_first_word_is_asked():
    with (
        port(says=b"SSH-2.0-OpenSSH_9.9\r\n") as speaks,
        playing_at(speaks.number, configuration="timeout = 1") as play,
    ):
        assert speaks.accept().recv(4) == b"SSH-"
        assert_not_confirmed(play)


def test_a_host_whose_first_client_has_failed_is_asked():
    """That client may have started the command, before it lost its connection."""
    with (
        port() as silent,
        playing_at(silent.number, configuration="timeout = 1", retries=3) as play,
    ):
        silent.accept().close()
        silent.accept()
        assert_not_confirmed(play)


def test_of_two_hosts_each_is_told_what_is_true_of_it():
    with port() as silent:
        web1 = {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": silent.number,
        }
        tasks = [{"name": "Work", "ansible.builtin.command": "sleep 7200"}]
        with start_playbook(
            tasks, inventory={"web1": web1, "web2": {}}, configuration="host_key_checking = false"
        ) as play:
            silent.accept()
            play.wait_for_words("sleep", "7200")
            said = play.interrupt()
            assert NOT_BEGUN.search(said), said
            assert re.search(r"^web2 : ended [1-9]\d* .*survivors 0", said, re.MULTILINE), said
            assert "NOT CONFIRMED" not in said


def test_by_paramiko_nothing_has_begun_until_the_command_is_sent():
    """The server may have sent anything before that."""
    with (
        port(says=b"SSH-2.0-OpenSSH_9.9\r\n") as speaks,
        playing_at(speaks.number, connection="treekill.remote.paramiko_ssh") as play,
    ):
        assert speaks.accept().recv(4) == b"SSH-"
        assert_nothing_had_begun(play)
