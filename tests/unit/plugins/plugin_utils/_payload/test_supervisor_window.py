# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kill order that comes as the size of the terminal. Any other size ends nothing."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._lease.supervisor_socket import (
    socket_name,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.window_order import (
    ordered_size,
)

from tests.unit.plugins.plugin_utils._payload.test_supervisor_channel import (
    BAR,
    GRACE,
    TREE,
    ends,
    is_complete,
    keepers,
)
from tests.unit.plugins.plugin_utils._payload.test_supervisor_terminal import (
    OnTerminal,
    on_terminal,
)
from tests.unit.plugins.plugin_utils.supervised import PATIENCE, PYTHON, PYTHONS, Module, both

#: Others than those of tests in other processes: the names of sockets are the same in all process
#: namespaces.
LEASE, OTHER_LEASE = secrets.token_hex(4), secrets.token_hex(4)

#: Rows and columns of the terminal.
SHAPE = (31, 101)

#: The least seconds for which a report is kept: those of a courier's last try.
LAST_TRY = 30

#: Seconds in which a supervisor looks several times.
WHILE = 3 * BAR

#: Prints what it reads from its terminal, and the size of that, when some looks are over.
VIEW = """
import os, sys, time
time.sleep(0.4)
print("ready", flush=True)
print([sys.stdin.readline(), tuple(os.get_terminal_size(1))], flush=True)
sys.exit(3)
"""


def set_size(one: OnTerminal, size: bytes) -> None:
    fcntl.ioctl(one.master, termios.TIOCSWINSZ, size)


def order(lease: str = LEASE) -> bytes:
    return ordered_size(lease, struct.pack("4H", *SHAPE, 0, 0))


@contextmanager
def standing(namespace: Any, module: Module) -> Iterator[OnTerminal]:
    """Run the tree with a terminal that stays open."""
    with on_terminal([*namespace._enter, *module.argv(True)]) as one:
        set_size(one, struct.pack("4H", *SHAPE, 0, 0))
        namespace.wait_for(is_complete, "the tree")
        yield one


def make(tmp_path: Any, **more: Any) -> Module:
    return Module(TREE, tmp_path, **{"window": True, "timeout": GRACE, "lease": LEASE, **more})


@pytest.mark.parametrize("python", dict.fromkeys([PYTHON, *PYTHONS.values()]))
def test_an_order_ends_the_tree_on_every_python(namespace, tmp_path, python):
    with standing(namespace, make(tmp_path, python=python)) as one:
        set_size(one, order())
        ends(namespace)


def test_an_order_may_come_before_the_supervisor_looks(namespace, tmp_path):
    """The client may tell the size while the command is on its way."""
    with on_terminal([*namespace._enter, *make(tmp_path).argv(True)]) as one:
        set_size(one, order())
        one.leader.wait(PATIENCE)
        ends(namespace)


@pytest.mark.parametrize(
    "size",
    [
        order(OTHER_LEASE),
        struct.pack("4H", 50, 132, 1056, 850),
        bytes(8),
        b"\xff" * 8,
        # The words in the place of rows and columns.
        order()[4:] + order()[:4],
    ],
    ids=["another lease", "a user's", "none", "the greatest", "no pixels"],
)
def test_any_other_size_ends_nothing(namespace, tmp_path, size):
    with standing(namespace, make(tmp_path)) as one:
        before = set(namespace.processes())
        set_size(one, size)
        namespace.run(["sleep", str(WHILE)])
        assert set(namespace.processes()) == before


@pytest.mark.parametrize("more", [{"window": False}, {"keep": True}], ids=["no word", "keep"])
def test_a_supervisor_that_was_not_told_to_look_ends_nothing(namespace, tmp_path, more):
    """The control. A task with `on_disconnect: keep` has no such order."""
    with standing(namespace, make(tmp_path, **more)) as one:
        before = set(namespace.processes())
        set_size(one, order())
        namespace.run(["sleep", str(WHILE)])
        assert set(namespace.processes()) == before


@pytest.mark.parametrize("monitored", [False, True])
def test_an_undisturbed_module_has_its_terminal_and_its_status(tmp_path, monitored):
    module = Module(VIEW, tmp_path, window=True)
    with on_terminal(module.argv(True), monitored) as one:
        set_size(one, struct.pack("4H", *SHAPE, 0, 0))
        output = b""
        while b"ready" not in output:
            output += os.read(one.master, 4096)
        os.write(one.master, b"hello\n")
        while not output.endswith(b"]\r\n"):
            output += os.read(one.master, 4096)
        assert b"['hello\\n', (101, 31)]" in output
        assert one.leader.wait(PATIENCE) == 3


def test_a_look_that_fails_does_not_end_the_watch_of_the_channel(namespace, tmp_path):
    """The library of this Python is not what it was: its package is being replaced."""
    looks = tmp_path / "looks"
    (tmp_path / "termios.py").write_text(
        f"open({str(looks)!r}, 'a').write('once ')\nraise ValueError\n"
    )
    module, variable = make(tmp_path), f"PYTHONPATH={tmp_path}"
    with on_terminal([*namespace._enter, "/usr/bin/env", variable, *module.argv(True)]) as one:
        namespace.wait_for(is_complete, "the tree")
        namespace.wait_for(lambda now: looks.exists(), "a look")
        namespace.run(["sleep", str(WHILE)])
        assert looks.read_text() == "once "
        one.hang_up()
        ends(namespace)


@pytest.mark.parametrize("breaks", [False, True], ids=["an order", "a broken channel"])
def test_the_report_is_kept_for_as_long_as_couriers_try(namespace, tmp_path, breaks):
    """A courier of many may come late. Without the report it would find nothing of the tree."""
    module = make(tmp_path, retry_for=60.0)
    with standing(namespace, module) as one, socket.socket(socket.AF_UNIX) as courier:
        if breaks:
            one.hang_up()
        else:
            set_size(one, order())
        namespace.wait_for(keepers, "the report")
        # longer than it takes to try once
        namespace.run(["sleep", str(LAST_TRY + 1)])
        courier.connect(socket_name(module.run, module.lease))
        report = b"".join(iter(lambda: courier.recv(65536), b""))
        assert json.loads(report)["gone"]
        namespace.wait_for(lambda now: not keepers(now), "the end of the report")


def test_the_report_is_kept_no_longer_than_couriers_try(namespace, tmp_path):
    with standing(namespace, make(tmp_path, retry_for=0.0)) as one:
        one.hang_up()
        namespace.wait_for(keepers, "the report")
        namespace.run(["sleep", str(LAST_TRY)])
        namespace.wait_for(lambda now: not keepers(now), "the end of the report")


def test_a_command_that_is_sent_again_ends_the_earlier_run_and_runs(namespace, tmp_path):
    with standing(namespace, make(tmp_path, retries=True)):
        (tmp_path / "again").mkdir()
        module = make(tmp_path / "again", retries=True)
        again = namespace.spawn(replace(module, text="print('it runs')").argv(True))
        assert again.communicate(timeout=PATIENCE)[0] == b"it runs\n"
        assert again.returncode == 0
        ends(namespace)


def test_without_a_terminal_the_module_runs_as_ever(tmp_path):
    with_supervisor, without = both(
        Module("import time; time.sleep(0.2); print('done')", tmp_path, window=True)
    )
    assert with_supervisor == without
