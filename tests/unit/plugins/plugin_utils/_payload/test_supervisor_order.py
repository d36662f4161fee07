# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module that was ended by a signal.

The kill order ends what it has left, if one comes. Otherwise that lives on.
"""

from __future__ import annotations

import signal
import time

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._supervisor.await_order import (
    ORDER_SECONDS,
)

from tests.unit.plugins.plugin_utils.supervised import Module

DAEMON = "env -i setsid sleep 1001 < /dev/null > /dev/null 2>&1 &"

#: It leaves a daemon, reports that, and dies.
LEAVES = (
    "import os, signal, subprocess as s\ns.run(['sh', '-c', '{daemon}'])\n"
    "os.write(1, b'ready\\n')\nos.kill(os.getpid(), signal.{name})\nsignal.pause()"
)


def module(tmp_path, name, daemon=DAEMON):
    return Module(LEAVES.format(daemon=daemon, name=name), tmp_path, timeout=1.0)


def sleeps(now):
    return [process.arguments for process in now.values() if process.arguments[0] == "sleep"]


def titles(now):
    return [
        process.arguments[0]
        for process in now.values()
        if process.arguments[0].startswith("treekill")
    ]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_without_an_order_a_daemon_lives_on_and_the_status_is_the_same(namespace, tmp_path, name):
    shell = namespace.spawn(module(tmp_path, name).argv(True))
    output, dummy = shell.communicate()
    assert output == b"ready\n"
    assert shell.returncode == 128 + getattr(signal, name)
    assert sleeps(namespace.processes())
    assert not titles(namespace.processes())


@pytest.mark.parametrize(
    ("name", "daemon"),
    [("SIGTERM", ""), ("SIGKILL", DAEMON), ("SIGSEGV", DAEMON)],
    ids=["nothing left", "KILL", "SEGV"],
)
def test_a_module_that_has_left_nothing_or_was_ended_by_no_signal_of_a_group_is_not_held_up(
    namespace, tmp_path, name, daemon
):
    began = time.monotonic()
    shell = namespace.spawn(module(tmp_path, name, daemon).argv(True))
    shell.communicate()
    assert time.monotonic() - began < ORDER_SECONDS
    assert shell.returncode == 128 + getattr(signal, name)


def test_a_channel_that_breaks_meanwhile_ends_what_was_left(namespace, tmp_path):
    shell = namespace.spawn(module(tmp_path, "SIGTERM").argv(True))
    assert shell.stdout.readline() == b"ready\n"
    shell.stdout.close()
    namespace.wait_for(lambda now: not sleeps(now), "the end of what was left")


def test_a_supervisor_whose_shell_was_ended_waits_too_however_its_module_has_ended(
    namespace, tmp_path
):
    """A module may react in its own way to a signal to the group. Its shell does not."""
    go = tmp_path / "go"
    text = (
        f"import os, subprocess, time\nsubprocess.run(['sh', '-c', {DAEMON!r}])\n"
        "print('ready', flush=True)\n"
    )
    shell = namespace.spawn(
        Module(
            f"{text}while not os.path.exists({str(go)!r}): time.sleep(0.01)", tmp_path, timeout=1.0
        ).argv(True)
    )
    assert shell.stdout.readline() == b"ready\n"
    (root,) = (
        pid
        for pid, process in namespace.processes().items()
        if process.arguments[:2] == ["/bin/sh", "-c"]
    )
    namespace.run(["kill", "-KILL", str(root)])
    namespace.wait_for(lambda now: root not in now, "the end of the shell")
    go.touch()
    namespace.wait_for(
        lambda now: (
            not [one for one in now.values() if one.arguments[-1].endswith("AnsiballZ_probe.py")]
        ),
        "the end of the module",
    )
    assert titles(namespace.processes())
    shell.stdout.close()
    namespace.wait_for(lambda now: not sleeps(now), "the end of what was left")


def test_a_supervisor_waits_longer_while_the_receiver_of_its_result_is_stopped(namespace, tmp_path):
    """A guardian stops it until the order was carried out.

    Without a guardian the result comes, and what was left lives on.
    """
    go = tmp_path / "go"
    text = LEAVES.replace(
        "os.kill(",
        f"import time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\nos.kill(",
    )
    shell = namespace.spawn(
        Module(text.format(daemon=DAEMON, name="SIGTERM"), tmp_path, timeout=1.0).argv(True)
    )
    assert shell.stdout.readline() == b"ready\n"
    (worker,) = (
        process.ppid
        for process in namespace.processes().values()
        if process.arguments[:2] == ["/bin/sh", "-c"]
    )
    namespace.run(["kill", "-STOP", str(worker)])
    go.touch()
    namespace.wait_for(
        lambda now: (
            not [one for one in now.values() if one.arguments[-1].endswith("AnsiballZ_probe.py")]
        ),
        "the end of the module",
    )
    began = time.monotonic()
    while time.monotonic() - began < ORDER_SECONDS + 1:
        assert titles(namespace.processes())
        time.sleep(0.1)
    namespace.run(["kill", "-CONT", str(worker)])
    # nsenter stops itself when what it has started is stopped.
    shell.send_signal(signal.SIGCONT)
    shell.communicate(timeout=ORDER_SECONDS)
    assert shell.returncode == 128 + signal.SIGTERM
    assert sleeps(namespace.processes())
    assert not titles(namespace.processes())
