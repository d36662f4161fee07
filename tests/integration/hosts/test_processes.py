# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process table of a host, seen from outside, is complete and right."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.support.hosts import Host, HostsError, Lab
from tests.support.hosts.programs import SELF

from .patience import eventually


def test_a_process_that_hid_in_its_own_session_with_an_empty_environment_is_seen(
    host: Host,
) -> None:
    host.ssh("setsid --fork env -i sleep 4711 < /dev/null > /dev/null 2>&1")
    found = eventually(lambda: host.processes("^sleep 4711$"))
    pid = int(host.run(["pgrep", "-f", "^sleep 4711"]).stdout)
    assert [(one.pid, one.ppid, one.user) for one in found] == [(pid, 1, "ansible")]
    assert found[0].environ == {}


def test_a_process_in_a_pid_namespace_below_is_seen(host: Host) -> None:
    host.spawn(["unshare", "--pid", "--fork", "sleep", "4712"])
    inner = eventually(lambda: host.processes("^sleep 4712$"))
    outer = host.processes("^unshare")
    assert [one.ppid for one in inner] == [outer[0].pid]


def test_spawn_starts_a_daemon_as_any_user_with_its_environment(host: Host) -> None:
    daemon = host.spawn(["sleep", "1000"], user="other", environ={"COLOUR": "red"})
    assert (daemon.user, daemon.ppid, daemon.system) == ("other", 1, False)
    assert daemon.environ is not None
    assert daemon.environ["COLOUR"] == "red"
    assert host.run(["ps", "-o", "ppid=,user=,args=", "-p", str(daemon.pid)]).stdout.split() == [
        "1",
        "other",
        "sleep",
        "1000",
    ]


def _ignored(status: str) -> set[int]:
    """Return the ignored signals of a /proc/PID/status."""
    mask = int(
        next(line for line in status.splitlines() if line.startswith("SigIgn:")).split()[1], 16
    )
    # 32 and 33 are glibc's own, and ignored in whatever posix_spawn starts.
    return {number for number in range(1, 65) if mask >> (number - 1) & 1} - {32, 33}


def test_nothing_on_a_host_ignores_a_signal_because_the_caller_does(lab: Lab, host: Host) -> None:
    ignoring = ["sh", "-c", "trap '' HUP INT QUIT TERM USR1; exec \"$@\"", "sh"]
    host.power_off()
    subprocess.run([*ignoring, *SELF, "boot", "--lab", lab.name, host.name], check=True)
    assert _ignored(host.ssh("cat /proc/self/status").stdout) == set()
    host.reset()
    assert _ignored(host.ssh("cat /proc/self/status").stdout) == set()
    inside = subprocess.run(
        [*ignoring, *host.exec_argv(["cat", "/proc/self/status"])],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert _ignored(inside) == set()
    # The control: the caller does ignore them.
    assert _ignored(
        subprocess.run(
            [*ignoring, "cat", "/proc/self/status"], capture_output=True, text=True, check=True
        ).stdout
    ) >= {1, 2, 3, 10, 15}
    assert (
        _ignored(host.run(["cat", f"/proc/{host.spawn(['sleep', '1000']).pid}/status"]).stdout)
        == set()
    )


def test_spawn_says_so_when_the_program_fails(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.hosts.host.BOOT_SECONDS", 0.2)
    with pytest.raises(HostsError, match="no-such-program did not appear on web1"):
        host.spawn(["no-such-program"])


def test_stopped_and_ended_processes_say_so(host: Host) -> None:
    daemon = host.spawn(["sleep", "1000"])
    host.run(["kill", "-STOP", str(daemon.pid)])
    assert eventually(lambda: [one for one in host.processes("sleep") if one.state == "T"])
    daemon.id.kill()
    assert daemon.id.wait(time.monotonic() + 10)
    assert not daemon.id.alive()


def test_zombies_are_shown_only_when_asked_for(host: Host) -> None:
    parent = host.spawn(
        ["python3", "-c", "import os, time; os.fork() or os._exit(0); time.sleep(1000)"]
    )
    zombies = eventually(lambda: [one for one in host.processes(zombies=True) if one.state == "Z"])
    assert [one.ppid for one in zombies] == [parent.pid]
    assert [one.pid for one in host.processes()] == [parent.pid]


def test_the_hosts_own_processes_are_shown_only_when_asked_for(host: Host) -> None:
    assert host.processes() == []
    own = host.processes(system=True)
    assert own[0].pid == 1
    assert any("sshd" in one.command for one in own)
    assert all(one.system and one.user == "root" for one in own)


def test_hosts_of_a_lab_are_told_apart_in_one_look(lab: Lab) -> None:
    lab["web2"].spawn(["sleep", "1000"])
    found = lab.processes("sleep")
    assert {name: [one.command for one in table] for name, table in found.items()} == {
        "web1": [],
        "web2": ["sleep 1000"],
    }


def test_a_program_on_a_host_that_takes_too_long_is_killed_there(host: Host) -> None:
    with pytest.raises(subprocess.TimeoutExpired, match="sleep"):
        host.run(["sh", "-c", "sleep 1000; true"], timeout=0.2)
    assert eventually(lambda: not host.processes("sleep"))
