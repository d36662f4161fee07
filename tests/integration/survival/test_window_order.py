# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kill order by the size of a terminal, to hosts that no courier reaches.

Their sshd allows one session for each connection, and its listener is stopped. So only what goes
over the open channel can arrive. On the first of the two hosts, sudo runs every command in a
terminal of its own (`use_pty`). On the second it does not.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.hosts import Lab, ProcessId
from tests.support.labs import become_hosts
from tests.support.labs.lab_or_skip import lab_or_skip
from tests.support.run.play import Setting
from tests.support.run.run import Run, started
from tests.support.run.waiting import stays, until
from tests.support.trees import census, tree
from tests.support.trees.rows import tidy
from tests.support.trees.triggers import INT

#: Seconds for which a tree has to live without an order. With one, it ends in less.
WHILE = 3.0

#: Seconds after the end of the trees until a courier gets in. Each is still trying then.
LATE = 7.0

#: Options of ssh without a ControlMaster. Then only the frozen client could tell the new size.
ALONE = {"ssh_args": "-C"}

#: Seconds from the moment that the couriers get in until the main process has ended.
END_SECONDS = 40.0

KINDS = (*tree.COOPERATIVE, "plain", "script")

#: By the account that the task becomes, the hosts where the order reaches a supervisor. Below
#: `use_pty`, only root may look at the terminal above sudo.
REACHED = {
    "no": ["web1", "web2"],
    "root, no password": ["web1", "web2"],
    "another user": ["web2"],
}


@pytest.fixture(scope="module")
def narrow_lab(orderly_end: None) -> Iterator[Lab]:
    """Two hosts with MaxSessions 1."""
    with lab_or_skip(2) as two:
        become_hosts.prepare(two)
        for host in two:
            config = host.root / "etc/ssh/sshd_config"
            config.write_text(f"MaxSessions 1\n{config.read_text()}")
            host.reset()  # with a new sshd
        yield two


@contextmanager
def out_of_reach(lab: Lab, setting: Setting) -> Iterator[Run]:
    """Run a tree on all hosts, whose sshd accepts no connection any more, and interrupt the run."""
    known = {host.name: frozenset(process.id for process in host.processes()) for host in lab}
    try:
        with started(lab, setting, collection=True) as run:
            census.wait_for_tree(run, [*lab], known)
            signal_listeners(lab, "STOP")
            INT.fire(run, lab)
            yield run
    finally:
        signal_listeners(lab, "CONT")
        tidy([*lab], known)


def signal_listeners(lab: Lab, name: str) -> None:
    """Signal the sshd that accepts connections. Those that serve one go on."""
    for host in lab:
        host.run(["sh", "-c", f"kill -{name} $(cat /run/sshd.pid)"])


def setting_of(become: str, **more: Any) -> Setting:
    """Return a setting with a terminal, and a tree that ends when it is told to."""
    return Setting(become=become, kinds=tree.COOPERATIVE, **more)


def of_task(run: Run, lab: Lab) -> dict[str, set[ProcessId]]:
    """Return by host the processes of the task, without the daemon of an earlier one."""
    return {
        host.name: {
            process.id
            for process in host.processes()
            if tree.label_of(process.command, run.row) in KINDS
        }
        for host in lab
    }


def assert_ends_as_ever(run: Run, lab: Lab) -> None:
    """Let the couriers in, and assert that each reports what was ended, and that all of it was."""
    signal_listeners(lab, "CONT")
    assert run.wait(END_SECONDS) == INT.status, run.story
    for host in lab:
        line = rf"^{host.name} +: ended [1-9]\d* .*survivors 0"
        assert re.search(line, run.errors, re.MULTILINE), run.story


@pytest.mark.parametrize("become", REACHED)
def test_nothing_survives_though_no_courier_gets_in(narrow_lab: Lab, become: str) -> None:
    """The recap counts nothing as ended before a courier has confirmed it."""
    with out_of_reach(narrow_lab, setting_of(become)) as run:
        until(
            lambda: not any(of_task(run, narrow_lab)[name] for name in REACHED[become]),
            WHILE,
            lambda: f"alive: {of_task(run, narrow_lab)}\n{run.story}",
        )
        assert run.process.poll() is None, run.story
        assert "survivors" not in run.errors, run.story
        assert {name for name, alive in of_task(run, narrow_lab).items() if not alive} == {
            *REACHED[become]
        }
        assert_ends_as_ever(run, narrow_lab)
        assert not any(of_task(run, narrow_lab).values()), run.story


@pytest.mark.parametrize("pipelining", [False, True])
def test_a_courier_that_comes_late_reports_what_was_ended(
    narrow_lab: Lab, pipelining: bool
) -> None:
    """With pipelining the channel has broken, which does not show that the controller lives."""
    with out_of_reach(narrow_lab, setting_of("no", pipelining=pipelining)) as run:
        until(lambda: not any(of_task(run, narrow_lab).values()), WHILE, lambda: run.story)
        time.sleep(LATE)
        assert_ends_as_ever(run, narrow_lab)


@pytest.mark.parametrize("become", ["no", "root, no password"])
def test_without_a_master_the_tree_lives_until_a_courier_gets_in(
    narrow_lab: Lab, become: str
) -> None:
    """The control. Then it is ended by the order that every lease has."""
    with out_of_reach(narrow_lab, setting_of(become, ssh=ALONE)) as run:
        alive = of_task(run, narrow_lab)
        assert all(alive.values()), alive
        stays(lambda: of_task(run, narrow_lab) == alive, WHILE, f"a process has ended\n{run.story}")
        assert_ends_as_ever(run, narrow_lab)
        assert not any(of_task(run, narrow_lab).values()), run.story
