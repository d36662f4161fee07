# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a host: its network cut, its power lost, its Python or its disk taken away.

All of them are mended.
"""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.support.hosts import Host, HostIsOff, Lab

from .patience import eventually

_QUICK = ["-o", "ConnectTimeout=1"]


def _connection_state(host: Host) -> str:
    return subprocess.run(
        ["ss", "-Htn", "dst", host.address], capture_output=True, text=True, check=True
    ).stdout.partition(" ")[0]


def _open_connection(host: Host) -> subprocess.Popen[str]:
    client = subprocess.Popen(
        [*host.ssh_argv(), "echo ready; cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert client.stdout is not None
    assert client.stdout.readline() == "ready\n"
    return client


def test_a_cut_host_can_not_be_reached_until_it_is_healed(lab: Lab) -> None:
    host = lab["web1"]
    host.cut()
    assert host.ssh("true", options=_QUICK).returncode == 255
    assert lab["web2"].ssh("true").returncode == 0
    host.heal()
    assert host.ssh("true").returncode == 0


def test_processes_go_on_behind_a_cut(host: Host) -> None:
    daemon = host.spawn(["sleep", "1000"])
    host.cut()
    assert [one.id for one in host.processes()] == [daemon.id]


def test_power_loss_kills_everything_and_sends_nothing(host: Host) -> None:
    daemon, client = host.spawn(["sleep", "1000"]), _open_connection(host)
    try:
        host.power_off()
        assert not host.on
        assert not daemon.id.alive()
        # A process that dies in another way closes its connections.
        assert _connection_state(host) == "ESTAB"
        for action in (
            host.processes,
            host.power_off,
            host.cut,
            host.reset,
            lambda: host.run(["true"]),
        ):
            with pytest.raises(HostIsOff, match="web1 has no power"):
                action()
    finally:
        client.kill()
        client.communicate()


def test_a_booted_host_has_its_disk_but_not_its_processes(host: Host) -> None:
    host.spawn(["sleep", "1000"])
    host.ssh("echo kept > ~/kept; echo lost > /tmp/lost")
    host.power_off()
    host.boot()
    assert host.processes() == []
    assert host.ssh("cat ~/kept; ls /tmp").stdout == "kept\n"


def test_reset_ends_what_resists_and_what_forks_all_the_time(host: Host) -> None:
    respawn = (
        "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True:\n"
        "  os.fork() and os._exit(0)\n  time.sleep(0.002)"
    )
    host.spawn(["sh", "-c", "trap '' TERM HUP INT; while :; do sleep 1000; done"])
    # `spawn` can't wait for what forks all the time.
    host.run(
        ["sh", "-c", 'exec setsid --fork "$@" > /dev/null 2>&1', "sh", "python3", "-c", respawn],
        user="other",
    )
    host.ssh("touch /tmp/x /tmp/.y")
    assert eventually(lambda: host.processes(r"^python3 -c"))
    host.reset()
    assert host.processes() == []
    assert host.ssh("ls -A /tmp").stdout == ""


def test_reset_closes_connections_and_heals_the_network(host: Host) -> None:
    client = _open_connection(host)
    host.cut()
    host.reset()
    assert host.ssh("true", options=_QUICK).returncode == 0
    client.communicate(timeout=10)
    assert client.returncode == 255


def test_reset_and_boot_are_quick_enough_to_stand_between_any_two_tests(host: Host) -> None:
    begin = time.monotonic()
    host.reset()
    host.power_off()
    host.boot()
    assert time.monotonic() - begin < 5


def test_files_can_be_written_from_outside(host: Host) -> None:
    (host.root / "etc/motto").write_text("hello\n")
    assert host.ssh("cat /etc/motto").stdout == "hello\n"


def test_a_full_disk_is_full_and_goes_again(host: Host) -> None:
    with host.full_disk("/var/tmp"):
        assert "No space left on device" in host.ssh("echo x > /var/tmp/x").stderr
        assert host.ssh("echo x > /tmp/x").returncode == 0
    assert host.ssh("echo x > /var/tmp/x").returncode == 0


def test_a_host_without_python_has_none_after_boot_either() -> None:
    with Lab.up(count=1, python=False) as lab:
        host = lab["web1"]
        assert host.python is None
        assert host.ssh("python3 -V; ls /usr/bin/python*").returncode != 0
        host.power_off()
        host.boot()
        assert host.ssh("sudo -n id -un; command -v python3").stdout == "root\n"


def test_a_directory_of_the_machine_can_be_shown_but_not_changed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("shown")
    (directory / "file").write_text("from outside\n")
    with Lab.up(count=1, binds={str(directory): "/opt/shown"}) as lab:
        done = lab["web1"].ssh("sudo -n cat /opt/shown/file; sudo -n touch /opt/shown/new")
        assert done.stdout == "from outside\n"
        assert "Read-only file system" in done.stderr
