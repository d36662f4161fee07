# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logins by an ssh server that a task has started again.

The task is the ancestor of all later logins. They are not ended with it.
"""

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import CookieMatch
from ansible_collections.treekill.remote.plugins.module_utils._tree.search import TreeSearch

from tests.unit.plugins.module_utils._kill_pass.test_kill_pass import quiet, run
from tests.unit.plugins.module_utils.simulated_host import (
    LEASE,
    OWN,
    RUN,
    SCRIPT,
    SimulatedHost,
    cookie,
)

COLLECTOR, LISTENER, SESSION, SHELL, EDITOR = 20, 30, 31, 32, 33


class RestartedServer(SimulatedHost):
    """The supervisor has the new server among its orphans, and a user has logged in by it."""

    def __init__(self, names=("sshd", "sshd-session"), user=0, environment=b""):
        super().__init__(quiet, 0)
        self.add(COLLECTOR, 10, b"", [b"supervisor"], ours=True)
        listener = self.add(LISTENER, COLLECTOR, environment, [b"/usr/sbin/sshd"])
        session = self.add(SESSION, LISTENER, environment, [b"sshd-session: someone [priv]"])
        listener.comm, session.comm = names
        listener.user = session.user = user
        self.add(SHELL, SESSION, b"", [b"-bash"]).user = 1000
        self.add(EDITOR, SHELL, b"", [b"vi", b"secret.txt"]).user = 1000


def below_the_collector(host):
    search = TreeSearch(CookieMatch(RUN, LEASE), host, OWN)
    search.include_children_of(COLLECTOR)
    search.scan()
    return search


NAMES = [("sshd", "sshd-session"), ("sshd", "sshd"), ("dropbear", "dropbear"), ("sshd:", "sshd:")]


@pytest.mark.parametrize("names", NAMES, ids=" ".join)
@pytest.mark.parametrize("environment", [b"", cookie(10)], ids=["cleared", "with the cookie"])
def test_the_server_and_its_logins_live_and_the_server_alone_is_named(names, environment):
    host = RestartedServer(names, environment=environment)
    report = run(host)
    assert {row["pid"] for row in report["gone"]} == {10, 11, COLLECTOR}
    assert not {LISTENER, SESSION, SHELL, EDITOR} & {
        process.id.pid for process, dummy in host.signals
    }
    assert [(row["pid"], row["reason"]) for row in report["spared"]] == [
        (LISTENER, "ssh server: its logins are left alone")
    ]
    assert not report["survivors"]


def test_a_supervisor_leaves_them_as_well():
    members = below_the_collector(RestartedServer()).members
    assert not {LISTENER, SESSION, SHELL, EDITOR} & {process.pid for process in members}


@pytest.mark.parametrize(
    ("names", "user"),
    [(("sshd", "sshd"), 1000), (("server", "session"), 0)],
    ids=["not root's", "not an ssh server"],
)
def test_what_calls_itself_so_without_roots_rights_is_ended(names, user):
    """The control."""
    host = RestartedServer(names, user)
    run(host)
    assert not {LISTENER, SESSION, SHELL, EDITOR} & set(host.processes)


def test_the_server_by_which_the_pass_has_come_lives():
    host = RestartedServer()
    host.processes[7].ppid = SESSION
    run(host)
    assert {LISTENER, SESSION, SHELL, EDITOR, 7, OWN} <= set(host.processes)


def test_the_same_command_that_came_again_by_the_new_server_is_ended_without_the_server():
    host = RestartedServer()
    host.add(40, SHELL, b"", [b"/bin/sh", b"-c", SCRIPT], ours=True)
    host.add(41, 40, cookie(40), [b"worker"], ours=True)
    report = run(host)
    assert {row["pid"] for row in report["gone"]} == {10, 11, COLLECTOR, 40, 41}
    assert {LISTENER, SESSION, SHELL, EDITOR} <= set(host.processes)
