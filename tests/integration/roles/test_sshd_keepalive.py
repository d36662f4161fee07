# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role sshd_keepalive.

With it a host ends the sessions of a client that is gone, and no others.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.hosts import Host, HostProcess, Lab
from tests.support.run.waiting import stays, until

from .applying import apply_role

INTERVAL, COUNT_MAX = 1, 2

#: Seconds within which the session has to end: sshd asks COUNT_MAX times, and waits one interval
#: more for the last answer. OpenSSH 9.2 of Debian 12, which the hosts have, takes twice as long as
#: 8.4 and 10.0 do.
WITHIN = 2 * INTERVAL * (COUNT_MAX + 1)
#: Additional seconds for a busy machine.
SLACK = 3

RELOADED = "Received SIGHUP; restarting."


@dataclass(frozen=True)
class Session:
    """One ssh connection that carries a `cat`."""

    client: subprocess.Popen[str]
    server: HostProcess  #: sshd's process of the session, parent of what it runs

    def echoes(self, word: str) -> bool:
        """Whether a line that is sent comes back."""
        assert self.client.stdin is not None
        assert self.client.stdout is not None
        self.client.stdin.write(f"{word}\n")
        self.client.stdin.flush()
        return self.client.stdout.readline() == f"{word}\n"


@contextmanager
def session(host: Host) -> Iterator[Session]:
    """Open one. Its client is ended at the end of the block, if need be."""
    client = subprocess.Popen(
        [*host.ssh_argv(), "echo $PPID; exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert client.stdout is not None
        pid = int(client.stdout.readline())
        (server,) = (
            process for process in host.processes("sshd", system=True) if process.pid == pid
        )
        yield Session(client, server)
    finally:
        client.kill()
        client.communicate()


@pytest.fixture(scope="session", autouse=True)
def _applied(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Apply the role to web1; web2 is the control."""
    directory: Path = tmp_path_factory.mktemp("role")
    apply_role(
        lab,
        lab["web1"],
        "sshd_keepalive",
        directory,
        sshd_keepalive_interval=INTERVAL,
        sshd_keepalive_count_max=COUNT_MAX,
    )


def test_a_cut_network_ends_the_session_within_the_time_that_was_set_and_without_the_role_it_stays(
    web1: Host, web2: Host
) -> None:
    with ExitStack() as stack:
        ends, control = stack.enter_context(session(web1)), stack.enter_context(session(web2))
        for host in (web1, web2):
            assert host.processes("^cat$")
            host.cut()
        until(
            lambda: not ends.server.id.alive(),
            WITHIN + SLACK,
            f"the session is alive: {ends.server}",
        )
        until(lambda: not web1.processes("^cat$"), SLACK, "what it ran is alive")
        assert "Timeout, client not responding" in web1.sshd_log.read_text()
        stays(
            control.server.id.alive,
            WITHIN + SLACK,
            f"the control's session ended: {control.server}",
        )
        assert web2.processes("^cat$")


def test_a_network_that_comes_back_in_time_costs_no_session(web1: Host) -> None:
    with session(web1) as one:
        web1.cut()
        stays(one.server.id.alive, INTERVAL, "the session ended too early")
        web1.heal()
        assert one.echoes("here again")
        stays(one.server.id.alive, WITHIN + SLACK, "the session ended although its client is there")
        assert one.echoes("and still")


def test_a_silent_session_lives_on_and_one_from_before_a_reload_too(
    lab: Lab, web1: Host, tmp_path: Path
) -> None:
    reloads = web1.sshd_log.read_text().count(RELOADED)
    with session(web1) as one:
        apply_role(
            lab,
            web1,
            "sshd_keepalive",
            tmp_path,
            sshd_keepalive_interval=INTERVAL,
            sshd_keepalive_count_max=COUNT_MAX + 1,
        )
        assert web1.sshd_log.read_text().count(RELOADED) == reloads + 1
        stays(one.server.id.alive, WITHIN + SLACK, "the session ended")
        assert one.echoes("as before")
