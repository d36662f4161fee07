# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Evidence of one user about the processes of another.

An environment or a title that a user writes proves nothing about them.
"""

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._survey.selection import (
    select_abandoned,
    select_runs,
)
from ansible_collections.treekill.remote.plugins.module_utils._survey.selection_options import (
    SelectionOptions,
)

from tests.unit.plugins.module_utils.still_host import (
    LEASE,
    RUN,
    SCRIPT,
    StillHost,
    cookie,
    surveyed,
)

TITLES = [
    "treekill: supervisor of run %s, lease %s: a task",
    "treekill: ending the tree of run %s, lease %s",
]
FORGER, ADMIN = 60002, 0


class OwnedHost(StillHost):
    """Processes belong to root, except those that are named with users."""

    def __init__(self):
        super().__init__()
        self.users = {}

    def effective_uid(self, pid):
        return self.users.get(pid, ADMIN)

    def forge(self, pid, arguments, environment, ppid=1):
        """Add a process of the forger's."""
        self.add(pid, ppid, arguments, environment)
        self.users[pid] = FORGER


@pytest.fixture
def host():
    return OwnedHost()


def dead(host):
    """Return the pids that a sweep of the dead ends."""
    return sorted(process.id.pid for process in select_abandoned(*surveyed(host), None, set()).tops)


def of_run(host, **options):
    """Return the pids that a sweep of the run ends."""
    named = SelectionOptions(**{"runs": [RUN], **options})
    selection = select_runs(surveyed(host)[0], named, set())
    return sorted(process.id.pid for process in selection.tops), selection


def abandoned_root(pid, root):
    """Add a process that looks like a root whose session is gone.

    It does so by the pid in its own cookie, or by its command line.
    """
    return {
        "cookie": (["sleep", "1"], cookie(root, 77, more="SSH_CONNECTION=x\0")),
        "command line": (["/bin/sh", "-c", SCRIPT % (RUN, LEASE)], b"SSH_CONNECTION=x\0"),
    }


@pytest.mark.parametrize("form", ["cookie", "command line"])
@pytest.mark.parametrize("pid", [40, 50], ids=["any pid", "the pid of the root that is gone"])
def test_a_daemon_that_was_left_on_purpose_is_not_dead_because_another_user_has_planted_a_dead_root(
    host, form, pid
):
    host.add(30, 1, ["daemon"], cookie(50, 3))
    host.add(31, 30, ["its worker"], cookie(50, 3))
    host.forge(pid, *abandoned_root(pid, pid)[form])
    host.forge(60, ["child of the forger"], cookie(pid, 77), pid)
    # Younger than the forged root, and with a cookie that names its pid.
    host.add(70, 1, ["daemon's second worker"], cookie(50, 3))
    assert not {30, 31, 70} & set(dead(host))
    pids, selection = of_run(host)
    assert not {30, 31, 70} & set(pids)
    assert any(
        host.OWN not in [one.id.pid for one in tree.members] and tree.state == "left"
        for tree in selection.left_alone
    )


@pytest.mark.parametrize("form", ["cookie", "command line"])
def test_what_is_selected_of_the_forger_does_not_lead_to_the_daemon_when_it_is_looked_for_again(
    host, form
):
    host.add(30, 1, ["daemon"], cookie(50, 3))
    host.forge(50, *abandoned_root(50, 50)[form])
    host.forge(51, ["worker"], cookie(50, 77), 50)
    host.add(70, 1, ["daemon's second worker"], cookie(50, 3))
    for selection in (select_abandoned(*surveyed(host), None, set()), of_run(host)[1]):
        match = selection.match()
        assert not any(
            match.believes(
                host.environment(pid), host.process(pid).id.start, host.effective_uid(pid)
            )
            for pid in (30, 70)
        )
        assert not selection.tops or match.believes(
            host.environment(51), host.process(51).id.start, host.effective_uid(51)
        )


@pytest.mark.parametrize("title", TITLES, ids=["supervisor", "ending"])
def test_an_abandoned_tree_is_not_hidden_by_a_title_of_another_user(host, title):
    host.command(20, 1)
    host.forge(30, [title % (RUN, LEASE)], cookie(20, 3))
    assert {20, 21} <= set(dead(host))


@pytest.mark.parametrize("title", TITLES, ids=["supervisor", "ending"])
def test_a_title_of_another_user_makes_no_job_of_what_was_left(host, title):
    host.add(30, 1, ["daemon"], cookie(50, 3))
    host.forge(40, [title % (RUN, LEASE)], cookie(50, 3))
    [tree] = [tree for tree in surveyed(host)[0] if tree.members[0].id.pid == 30]
    assert tree.state == "left"
    assert 30 not in of_run(host)[0]


@pytest.mark.parametrize(
    "environment",
    [cookie(20, 1), cookie(20, 3, more="TREEKILL_KEEP=1\0")],
    ids=["as if pid 1 had started the root", "as if it may lose its connection"],
)
def test_an_abandoned_tree_is_not_hidden_by_a_cookie_of_another_user(host, environment):
    host.command(20, 1)
    host.forge(30, ["sleep", "1"], environment)
    assert {20, 21} <= set(dead(host))


def test_an_abandoned_tree_is_not_hidden_by_a_root_of_another_user_that_is_running(host):
    host.command(20, 1)
    host.forge(30, ["/bin/sh", "-c", SCRIPT % (RUN, LEASE)], b"SSH_CONNECTION=x\0", 3)
    assert dead(host) == [20, 21]


def test_what_a_root_of_roots_has_left_with_its_pid_belongs_to_it_also_as_another_user(host):
    """A service that has left its parents and become its own user.

    The control: it does not if the root is that other user's.
    """
    host.command(20, 1)
    host.forge(30, ["service"], cookie(20, 3))
    assert dead(host) == [20, 21, 30]
    host.users = {20: FORGER, 21: FORGER}
    assert dead(host) == [20, 21]


def test_what_is_older_than_a_root_was_not_started_by_it(host):
    host.add(15, 1, ["daemon"], cookie(20, 3))
    host.command(20, 1)
    assert dead(host) == [20, 21]


def test_of_titles_below_each_other_the_upper_one_is_the_supervisor(host):
    host.command(20, 1)
    supervisor, ending = (title % (RUN, LEASE) for title in TITLES)
    host.add(25, 20, [supervisor], cookie(20, 3))
    host.add(26, 25, [ending], cookie(20, 3))
    assert [tree.state for tree in surveyed(host)[0] if tree.run == RUN] == ["running"]
