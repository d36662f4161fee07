# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kill pass on hosts with several users.

It needs permissions to signal, with sudo above the root and below it. It is reached by ssh, as in
use.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import KillRequest
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import KillReport
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.host_report import (
    parse_report,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.kill_command import (
    kill_command,
)

from tests.support.hosts import PASSWORD, Host, Lab
from tests.unit.plugins.module_utils.tree_kinds import COOKIE, LEASE, RUN

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="hosts with several users need root")

PATIENCE = 30.0
PYTHONS = ("/usr/bin/python3",)
IGNORING = 'trap "" TERM HUP INT; echo ready; while :; do sleep 1000; done'


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(count=1) as running:
        yield running


@pytest.fixture
def host(lab):
    (host,) = lab
    yield host
    (host.root / "etc/sudoers.d/pty").unlink(missing_ok=True)
    host.reset()


def plain(command: str) -> str:
    """Return the command as it is: no become."""
    return command


def sudo(*options: str) -> Callable[[str], str]:
    """Wrap a command as become's sudo does."""
    return lambda command: " ".join(["sudo", "-n", *options, command])


def su(user: str) -> Callable[[str], str]:
    """Wrap a command as become's su does, with root's right to it."""
    return lambda command: f"sudo -n su {user} -c {shlex.quote(command)}"


class Task:
    """A command in flight, as the ssh plugin sends it."""

    def __init__(
        self,
        host: Host,
        account: str,
        script: str,
        *,
        become: Callable[[str], str] = plain,
        tty: bool = False,
        stdin: str = "",
    ) -> None:
        self.host = host
        self.account = account
        self.become = become
        argv = [
            *host.ssh_argv(account, *(["-tt"] if tty else [])),
            self.wrap(f"export {COOKIE}; {script}"),
        ]
        self.client = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        if stdin:
            self.client.stdin.write(stdin)
            self.client.stdin.flush()

    def wrap(self, script: str) -> str:
        return self.become(f"/bin/sh -c {shlex.quote(script)}")

    def ready(self, alive: int) -> set[int]:
        """Return the pids of all that runs on the host, once the command is ready."""
        while "ready" not in (line := self.client.stdout.readline()):
            assert line, "it ended"
        return {process.pid for process in self.until(lambda now: len(now) >= alive)}

    def until(self, condition: Callable[[list], bool]) -> list:
        deadline = time.monotonic() + PATIENCE
        while not condition(now := self.host.processes()):
            assert time.monotonic() < deadline, now
            time.sleep(0.01)
        return now

    def kill(self, pythons: tuple[str, ...] = PYTHONS, **options) -> KillReport:
        """Run the kill pass as that user by that way."""
        request = KillRequest(
            RUN, LEASE, "n0", **{"timeout": 2.0, "arrival_timeout": 0.3, **options}
        )
        answer = self.host.ssh(self.wrap(kill_command(request, pythons)), account=self.account)
        return parse_report(answer.stdout, "n0")

    def ends(self) -> bool:
        """Whether the ssh client returns by itself: whatever was above the root has ended, too."""
        self.client.stdin.close()
        return self.client.wait(PATIENCE) is not None


@pytest.fixture(params=[PYTHONS, ()], ids=["python", "shell"])
def pythons(request) -> list[str]:
    return request.param


@pytest.mark.parametrize(
    "script",
    ["sudo -n sh -c 'echo ready; exec sleep 1000'; true", f"sudo -n sh -c '{IGNORING}' & wait"],
    ids=["ends by TERM", "ignores TERM"],
)
def test_what_runs_under_sudo_ends_through_sudo_where_it_asks_nothing(host, script, pythons):
    task = Task(host, "ansible", script)
    tree = task.ready(3)
    report = task.kill(pythons)
    task.until(lambda now: not now)
    assert report.survivors == ()
    assert report.escalated
    assert tree <= {process.pid for process in report.gone}
    assert task.ends()


@pytest.mark.parametrize("children", [True, False], ids=["all", "the root alone"])
def test_the_root_is_known_as_such_through_sudo(host, children, pythons):
    task = Task(host, "ansible", "sh -c 'echo ready; exec sleep 1000'; true", become=sudo())
    tree = task.ready(3)
    task.become = plain
    report = task.kill(pythons, signal=1, children=children)
    assert report.escalated
    assert [
        (process.pid, process.ended)
        for process in (*report.gone, *report.survivors)
        if process.role == "root"
    ] == [(report.root[0], "HUP")]
    assert report.root[0] in tree
    assert {process.ended for process in report.gone if process.role == "child"} == (
        {"TERM"} if children else set()
    )


def test_a_raw_command_under_sudo_is_found_though_its_environment_can_not_be_read(host, pythons):
    task = Task(host, "ansible", f"sudo -n sh -c '{IGNORING}'")
    task.ready(2)
    assert task.kill(pythons).survivors == ()
    task.until(lambda now: not now)


@pytest.mark.parametrize("escalate", [True, False])
def test_where_sudo_asks_for_a_password_root_processes_that_ignore_term_are_named(
    host, pythons, escalate
):
    task = Task(host, "secret", f"sudo -S sh -c '{IGNORING}'; true", stdin=f"{PASSWORD}\n")
    task.ready(4)
    report = task.kill(pythons, escalate=escalate)
    survivors = {process.pid for process in report.survivors}
    left = {
        process.pid: process
        for process in task.until(lambda now: {process.pid for process in now} == survivors)
    }
    assert not report.escalated
    reasons = {
        process.command.replace("\0", " ").split()[0]: process.reason
        for process in report.survivors
    }
    assert set(reasons) == {"sudo", "sh", "sleep"}
    assert reasons["sh"].startswith("not permitted (owned by root")
    assert ("sudo -n: a password is required" in reasons["sh"]) == escalate
    assert reasons["sudo"].startswith(("not killed: ", "not permitted "))
    assert "T" not in {process.state for process in left.values()}


def test_sudo_passes_term_on_to_what_must_not_be_signalled(host, pythons):
    task = Task(
        host, "secret", "sudo -S sh -c 'echo ready; exec sleep 1000'; true", stdin=f"{PASSWORD}\n"
    )
    task.ready(3)
    report = task.kill(pythons)
    task.until(lambda now: not now)
    assert report.survivors == ()
    assert not report.escalated


@pytest.mark.parametrize(
    "become",
    [sudo(), sudo("-u", "other"), sudo("-H", "-S", "-u", "other"), su("other")],
    ids=["root", "other", "other -S", "su"],
)
@pytest.mark.parametrize("tty", [False, True], ids=["pipe", "tty"])
@pytest.mark.parametrize("use_pty", [False, True], ids=["plain sudo", "use_pty"])
def test_what_became_another_user_is_ended_as_that_user_and_nothing_above_is_left_stopped(
    host, become, tty, use_pty, pythons
):
    (host.root / "etc/sudoers.d/pty").write_text(
        "Defaults use_pty\n" if use_pty else "Defaults !use_pty\n"
    )
    task = Task(
        host, "ansible", "sh -c 'echo ready; exec sleep 1000'; true", become=become, tty=tty
    )
    task.ready(3)
    report = task.kill(pythons)
    assert len(report.gone) == 2
    assert report.survivors == ()
    assert not report.escalated
    task.until(lambda now: not now)
    assert task.ends()


def test_another_users_process_with_the_cookie_is_out_of_reach_and_untouched(host):
    cookie = f"{RUN}/{LEASE}/1/1"
    stranger = host.spawn(["sleep", "1000"], user="other", environ={"TREEKILL": cookie})
    task = Task(host, "limited", "sh -c 'echo ready; exec sleep 1000'; true")
    task.ready(3)
    report = task.kill()
    task.until(lambda now: [process.pid for process in now] == [stranger.pid])
    assert report.unreadable > 0
    assert len(report.gone) == 2


def test_without_sudo_what_must_not_be_signalled_is_named(host, pythons):
    task = Task(host, "ansible", f"sudo -n sh -c '{IGNORING}'; true")
    task.ready(4)
    host.run(["mv", "/usr/bin/sudo", "/usr/bin/sudo.away"])
    try:
        report = task.kill(pythons)
    finally:
        host.run(["mv", "/usr/bin/sudo.away", "/usr/bin/sudo"])
    reasons = [
        process.reason
        for process in report.survivors
        if process.command.startswith(("sh ", "sh\0"))
    ]
    assert len(reasons) == 1
    assert reasons[0].startswith("not permitted (owned by root; sudo -n: ")


@pytest.fixture
def hiding_host(host):
    host.run(["mount", "-o", "remount,hidepid=2", "/proc"])
    yield host
    host.run(["mount", "-o", "remount,hidepid=0", "/proc"])


def test_what_a_host_hides_from_a_user_is_ended_through_sudo(hiding_host):
    task = Task(hiding_host, "ansible", f"sudo -n sh -c '{IGNORING}'; true")
    task.ready(4)
    report = task.kill()
    task.until(lambda now: not now)
    assert report.survivors == ()
    assert report.escalated


def test_what_a_host_hides_from_a_user_is_a_survivor_where_sudo_asks_for_a_password(hiding_host):
    task = Task(hiding_host, "secret", f"sudo -S sh -c '{IGNORING}'; true", stdin=f"{PASSWORD}\n")
    task.ready(4)
    report = task.kill()
    hidden = [process for process in report.survivors if process.command == "[hidden]"]
    assert hidden
    assert all("sudo -n: a password is required" in process.reason for process in hidden)
    assert {process.pid for process in report.survivors} <= {
        process.pid for process in hiding_host.processes()
    }
