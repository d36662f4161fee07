# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of an ssh session where become's program holds the output of a module.

The supervisor of the module still notices it, and that of no other session.
"""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.command_line import (
    CommandLines,
)

from tests.unit.plugins.plugin_utils._payload.test_supervisor_channel import BAR, TREE, ends, sleeps
from tests.unit.plugins.plugin_utils.supervised import Module

#: Seconds of a module for which the supervisor takes its time to look up, and some more.
WHILE = 3 * BAR


def started(namespace, module, servers):
    """Start the tree, below processes with these names. The reader of its output stays open."""
    argv = module.argv(True)
    for server in reversed(servers):
        program = module.folder / server
        program.symlink_to("/bin/sh")
        argv = [str(program), "-c", '"$@"; exit "$?"', server, *argv]
    shell = namespace.spawn(argv)
    assert shell.stdout.readline() == b"ready\n"
    return namespace.wait_for(
        lambda now: sleeps(now) == ["1001", "1002", "1003", "1004"], "the tree"
    )


def watches(namespace, pid):
    """Whether a process has a descriptor of another one."""
    folder = f"{namespace._proc}/{pid}/fd"
    return any("[pidfd]" in os.readlink(f"{folder}/{name}") for name in os.listdir(folder))


def supervisor_watches(namespace):
    def look(now):
        return [
            pid
            for pid, one in now.items()
            if one.arguments[0].startswith("treekill: supervisor") and watches(namespace, pid)
        ]

    namespace.wait_for(look, "a supervisor that watches its session")


def kill(namespace, now, server):
    (pid,) = [
        process.pid for process in now.values() if process.arguments[0].endswith(f"/{server}")
    ]
    namespace.run(["kill", "-9", str(pid)])
    return pid


@pytest.mark.parametrize("server", ["sshd", "sshd-session", "dropbear"])
def test_the_end_of_the_session_ends_the_tree(namespace, tmp_path, server):
    now = started(namespace, Module(TREE, tmp_path, session=True), [server])
    supervisor_watches(namespace)
    kill(namespace, now, server)
    ends(namespace)


def test_the_end_of_the_session_ends_a_tree_that_has_only_just_begun(namespace, tmp_path):
    """The supervisor finds the server while that lives, and does not look for it later."""
    kill(namespace, started(namespace, Module(TREE, tmp_path, session=True), ["sshd"]), "sshd")
    ends(namespace)


def lives_on(namespace, module, servers, victim):
    now = started(namespace, module, servers)
    namespace.run(["sleep", str(WHILE)])
    gone = kill(namespace, now, victim)
    namespace.run(["sleep", str(WHILE)])
    assert set(namespace.processes()) == set(now) - {gone}


def test_without_ssh_the_session_is_not_watched(namespace, tmp_path):
    """The control.

    A process that runs on the controller itself, below the user's own session, must outlive that.
    """
    lives_on(namespace, Module(TREE, tmp_path), ["sshd"], "sshd")


def test_a_task_that_cuts_its_own_connection_outlives_its_session(namespace, tmp_path):
    lives_on(namespace, Module(TREE, tmp_path, session=True, keep=True), ["sshd"], "sshd")


def test_the_session_is_the_nearest_one(namespace, tmp_path):
    lives_on(namespace, Module(TREE, tmp_path, session=True), ["sshd", "sshd-session"], "sshd")


@pytest.mark.parametrize(
    ("transport", "become", "watched"),
    [
        ("ssh", "sudo", True),
        ("paramiko", "su", True),
        ("ssh", None, True),
        ("local", "sudo", False),
        ("chroot", "sudo", False),
    ],
)
def test_only_over_ssh_there_is_a_session_to_watch(transport, become, watched):
    """A task on the controller itself is below the session of the user that started the run.

    It may have been meant to outlive that session.
    """
    connection = SimpleNamespace(_options={}, transport=transport, become=become)
    task = SimpleNamespace(options=SimpleNamespace(keep_on_disconnect=True))
    lines = CommandLines(connection, "00000000000000ab", lambda: task)
    assert lines.supervision("0000000a").session is watched
