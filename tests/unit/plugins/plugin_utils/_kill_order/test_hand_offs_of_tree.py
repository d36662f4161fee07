# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hand-offs that are seen among the processes of a tree."""

from __future__ import annotations

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_offs_of_tree import (
    seen_in,
)

from ..report_factories import make_kill_report, make_process


def told(*commands: str) -> list[str]:
    """Return what the processes with these command lines have asked for.

    Each word `>` at the beginning of one makes it a child of the one before it.
    """
    rows = [
        make_process(
            pid, ppid=pid - 1 if command[:2] == "> " else 1, command=command.removeprefix("> ")
        )
        for pid, command in enumerate(commands, 7)
    ]
    return [one.named for one in seen_in(make_kill_report(gone=rows))]


@pytest.mark.parametrize(
    ("commands", "left"),
    [
        # A terminal server in the tree is ended, and its clients have left nothing.
        (
            ["tmux new-session -d -s work", "> -sh", "tmux attach -t work", "screen -x two"],
            ["screen two"],
        ),
        # A client has no child, whatever its options are.
        (["tmux attach -d -t main"], ["tmux main"]),
        # Another socket is another server.
        (["tmux new-session -d", "> -sh", "tmux -L two attach"], ["tmux"]),
        (["SCREEN -dmS work", "screen -x work"], []),
        (["SCREEN -dm sleep 9", "screen -dm sleep 9"], []),
        # Another session has another server.
        (["SCREEN -dmS work", "screen -S two -X screen sleep"], ["screen two"]),
        # An rsync has an ssh below it, which goes to the same host.
        (["rsync -a /from db2:/to", "ssh db2 rsync --server"], ["db2"]),
        # The monitor of a container of podman has the container below it.
        (["podman run --name a image", "/usr/bin/conmon -n a", "sleep 9"], []),
        (["podman run --name a image", "/usr/bin/conmon --version"], ["podman run a"]),
        (
            ["podman run --name a image", "podman exec b sh", "/usr/bin/conmon -n a"],
            ["podman exec in b"],
        ),
        (["docker run --name a image", "conmon -n a"], ["docker run a"]),
        (
            ["podman --connection prod run --name a image", "conmon -n a"],
            ["podman run a"],
        ),
        (
            ["podman --url ssh://h run --name a image", "conmon -c 0"],
            ["podman run a --url ssh://h"],
        ),
        (["podman --root /x run --name a image", "conmon -n a"], []),
        (["podman run --name a image", "conmon -n b"], ["podman run a"]),
        (["podman --remote run --name a image", "conmon -n a"], ["podman run a --remote"]),
        # The name is beyond the end of what a report has of the monitor.
        (["podman run --name a image", "conmon -c 0"], []),
        (
            ["podman run --name a image", "podman exec b sh", "conmon -c 0"],
            ["podman run a", "podman exec in b"],
        ),
        (["sleep 9", ""], []),
    ],
)
def test_what_was_ended_with_the_tree_is_not_named(commands: list[str], left: list[str]) -> None:
    assert told(*commands) == left


def test_words_with_spaces_are_whole() -> None:
    """The host joins such words by NUL."""
    assert told("docker\0run\0--name\0web\0-e\0A=b c\0image") == ["docker run web"]


@pytest.mark.parametrize(
    ("rows", "supervised", "followed"),
    [
        # (pid, ppid, user, role); the client has pid 9.
        ([(6, 1, "root", "root"), (9, 6, "root", "child")], False, True),
        ([(6, 1, "root", "root"), (8, 6, "root", "child"), (9, 8, "root", "child")], False, True),
        # The supervisor is not in the report: pid 7.
        ([(6, 1, "root", "root"), (8, 7, "root", "child"), (9, 8, "root", "child")], True, True),
        ([(6, 1, "root", "root"), (8, 7, "root", "child"), (9, 8, "root", "child")], False, False),
        # It was started beside the tree, with the cookie of the task.
        ([(6, 1, "root", "root"), (8, 7, "root", "child"), (9, 5, "root", "child")], True, False),
        ([(6, 1, "root", "root"), (9, 1, "root", "child")], True, False),
        # Its cookie names its own pid, so it has the role of a root.
        ([(6, 1, "root", "root"), (9, 5, "nobody", "root")], False, False),
        ([(6, 1, "root", "root"), (8, 1, "u", "root"), (9, 8, "u", "child")], False, False),
        ([(9, 5, "nobody", "root")], False, False),
        # A job that drops its rights: the engine would be asked with the rights of the task.
        ([(6, 1, "root", "root"), (9, 6, "deploy", "child")], False, False),
        ([(9, 6, "root", "child")], False, False),
        ([(6, 1, "", "root"), (9, 6, "", "child")], False, False),
        # No report of a host has such a loop.
        ([(6, 1, "u", "root"), (8, 9, "u", "child"), (9, 8, "u", "child")], False, False),
    ],
)
def test_only_the_clients_of_the_task_itself_are_followed(
    rows: list[tuple[int, int, str, str]], supervised: bool, followed: bool
) -> None:
    """Any user can read the cookie of a task, and start a process that looks like a client."""
    gone = [
        make_process(pid, ppid=ppid, user=user, role=role, command="sh")
        for pid, ppid, user, role in rows
    ]
    gone[-1]["command"] = "docker run --name web image"
    (one,) = seen_in(make_kill_report(gone=gone, supervised=supervised))
    assert (one.followed is not None) is followed
