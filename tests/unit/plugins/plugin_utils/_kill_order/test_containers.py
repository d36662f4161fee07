# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The script that asks docker about containers, with a client of docker that has each fault.

tests/integration/survival/test_hand_offs.py has the real one, which has none of them.
"""

from __future__ import annotations

import getpass
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.containers import (
    Ending,
    stop,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_off import Followed

ID = "0123456789abcdef" * 4
KILLED = f"echo kill {ID} web 15"
#: It runs until it is stopped.
RUNS = f"[ -e $0.stopped ] || echo {ID}"


class Host:
    """This machine, with a made-up client of docker."""

    def __init__(self, folder: Path) -> None:
        self.client = folder / "docker"
        self.log = folder / "docker.log"
        self.terms = SimpleNamespace(options=SimpleNamespace(children_signal=15))

    def has(self, events: str = KILLED, ps: str = RUNS, stop: str = "touch $0.stopped") -> Host:
        """Make the client, which runs these scripts for its commands."""
        self.client.write_text(
            f'#!/bin/sh\necho "$@" >> {self.log}\ncase $1 in\n'
            f"events) {events};;\nps) {ps};;\nstop) {stop};;\nesac\n"
        )
        self.client.chmod(0o755)
        return self

    def output_of(self, script: str) -> str:
        """Run the script."""
        # Of a program that is broken off, no process may hold the pipe.
        done = subprocess.run(
            ["sh", "-c", f"PATH={self.client.parent}:$PATH\n{script}"],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        return done.stdout

    @property
    def asked(self) -> list[str]:
        """The commands of docker that were given."""
        return [line.split()[0] for line in self.log.read_text().splitlines()]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Return this machine."""
    return Host(tmp_path)


def ended(host: Host, *names: str, grace: float = 0, user: str = "") -> list[str]:
    """Return what became of the containers with these names."""
    followed = [Followed(name, user or getpass.getuser()) for name in names or ["web"]]
    return [one.value for one in stop(host, followed, grace, 1.0)]  # type: ignore[arg-type]


def test_a_container_that_had_the_signal_is_stopped(host: Host) -> None:
    assert ended(host.has()) == ["stopped"]
    assert f"stop --time 0 {ID}" in host.log.read_text()


def test_a_container_that_ends_by_itself_is_not_stopped(host: Host) -> None:
    assert ended(host.has(ps=":")) == ["ended"]
    assert "stop" not in host.asked


@pytest.mark.parametrize(
    "events",
    [
        ":",
        "exit 1",
        f"{KILLED}; exit 1",
        f"echo kill {ID} web 9",
        f"echo kill {ID} web-too 15",
        "echo kill --all web 15",
        # It was started again: a restart by others, for example.
        f"{KILLED}; echo start {ID} web",
        f"{KILLED}; echo restart {ID} web",
    ],
)
def test_without_evidence_a_container_is_left_alone(host: Host, events: str) -> None:
    assert ended(host.has(events=events)) == ["left"]
    assert {*host.asked} == {"events"}


def test_a_start_before_the_signal_is_that_of_its_client(host: Host) -> None:
    assert ended(host.has(events=f"echo start {ID} web; {KILLED}")) == ["stopped"]


def test_the_signal_of_an_earlier_moment_is_no_evidence(host: Host) -> None:
    """Docker is asked for what it has recorded since the kill began."""
    before = time.time()
    ended(host.has())
    since = int(host.log.read_text().split("--since ")[1].split()[0])
    assert before - 3 <= since <= before


def test_docker_is_asked_for_all_of_the_second_that_has_begun(host: Host) -> None:
    """Else a container that others start again in this second would be stopped."""
    before = int(time.time())
    ended(host.has())
    assert int(host.log.read_text().split("--until ")[1].split()[0]) > before


@pytest.mark.parametrize("fault", ["exit 1", f"echo {ID}; exit 1", "exec sleep 60"])
def test_a_docker_that_does_not_answer_says_nothing(host: Host, fault: str) -> None:
    """No answer is not the answer that nothing runs."""
    began = time.monotonic()
    assert ended(host.has(ps=fault)) == ["left"]
    assert "stop" not in host.asked
    assert time.monotonic() - began < 9


def test_a_docker_that_fails_after_the_stop_says_nothing(host: Host) -> None:
    assert ended(host.has(ps=f"[ ! -e $0.stopped ] || exit 1; echo {ID}")) == ["left"]


def test_all_containers_have_one_budget(host: Host) -> None:
    """The kill itself is confirmed only afterwards."""
    began = time.monotonic()
    host.has(events="trap '' TERM; sleep 60 & wait; wait")
    assert ended(host, *[f"web{number}" for number in range(20)]) == ["left"] * 8
    assert time.monotonic() - began < 9


def test_a_container_that_takes_its_grace_is_left_after_the_budget(host: Host) -> None:
    """Docker goes on: to break it off might end the container at once."""
    began = time.monotonic()
    assert ended(host.has(stop="sleep 11; touch $0.stopped"), grace=60) == ["left"]
    assert time.monotonic() - began < 13
    until = time.monotonic() + 10
    while not host.client.with_suffix(".stopped").exists():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_connection_that_hangs_is_broken_off(host: Host) -> None:
    def hang(script: str) -> str:
        while True:
            try:
                time.sleep(60)
            except Exception:  # noqa: S110  # as plugins do
                pass

    host.output_of = hang  # type: ignore[method-assign]
    began = time.monotonic()
    assert ended(host) == ["left"]
    assert time.monotonic() - began < 10


def test_docker_is_asked_only_as_the_user_of_the_client(host: Host) -> None:
    assert ended(host.has(), user="somebody") == ["left"]
    assert not host.log.exists()


def test_each_container_has_its_own_answer(host: Host) -> None:
    assert ended(host.has(events=f'case "$*" in *=web*) {KILLED};; esac'), "db", "web") == [
        "left",
        "stopped",
    ]
    assert Ending.LEFT.value == "left"
