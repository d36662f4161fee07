# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts whose /proc shows less than usual.

One hides the processes of other users. The other has no /proc, and ps has to be enough.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hosts import Lab
from tests.support.labs import proc_hosts
from tests.support.labs.lab_or_skip import lab_or_skip
from tests.support.run.control import play_control
from tests.support.run.play import Setting
from tests.support.trees import tree
from tests.support.trees.bystanders import Companies, Company
from tests.support.trees.table import Row, Took, becoming, nothing_survives, rows
from tests.support.trees.triggers import INT, KILL, LOST_CLIENT, LOST_CONTROLLER, TIMEOUT


@pytest.fixture(scope="session")
def hiding_lab(orderly_end: None) -> Iterator[Lab]:
    """A host with hidepid=2."""
    with lab_or_skip(1) as one:
        proc_hosts.hide_others(one["web1"])
        yield one


@pytest.fixture
def among_hidden(hiding_lab: Lab, companies: Companies) -> Company:
    """Bystanders on it."""
    return companies.on(hiding_lab)


@pytest.fixture(scope="session")
def lab_without_proc(orderly_end: None) -> Iterator[Lab]:
    """A host without /proc."""
    with lab_or_skip(1) as one:
        proc_hosts.take_proc_away(one["web1"])
        yield one


@pytest.fixture
def among_listed(lab_without_proc: Lab, companies: Companies) -> Company:
    """Bystanders on it."""
    return companies.on(lab_without_proc)


@rows(
    becoming(INT, hosts=1),
    becoming(LOST_CONTROLLER, hosts=1, pipelining=True),
    becoming(KILL, hosts=1, become="another user"),
    others=[
        becoming(KILL, hosts=1, pipelining=True),
        becoming(TIMEOUT, hosts=1, pipelining=True),
        becoming(LOST_CLIENT, hosts=1),
        becoming(INT, hosts=1, become="root, no password", pipelining=True),
        becoming(LOST_CLIENT, hosts=1, become="root, no password"),
        becoming(LOST_CONTROLLER, hosts=1, become="another user", pipelining=True),
    ],
    also=[("Targets", "/proc with hidepid=2")],
)
def test_nothing_survives_where_proc_hides_the_processes_of_others(
    among_hidden: Company, row: Row, took: Took
) -> None:
    """A user's pass sees neither what the task runs by sudo nor what is between."""
    nothing_survives(among_hidden, row, took)


#: /dev/fd/N can't be opened without /proc. ps is slower than a process that forks and exits 200
#: times a second.
NOT_LISTED = ("starts-on-term", "hops", "hops-cleared", "storm")
LISTED = tuple(name for name in tree.FULL if name not in NOT_LISTED)


@rows(
    becoming(INT, hosts=1, kinds=LISTED),
    becoming(LOST_CONTROLLER, hosts=1, pipelining=True, kinds=LISTED),
    becoming(
        KILL,
        hosts=1,
        supervise=False,
        kinds=tuple(name for name in LISTED if name in tree.UNSUPERVISED),
    ),
    others=[
        becoming(KILL, hosts=1, pipelining=True, kinds=LISTED),
        becoming(TIMEOUT, hosts=1, pipelining=True, kinds=LISTED),
        becoming(LOST_CLIENT, hosts=1, kinds=LISTED),
        becoming(INT, hosts=1, become="root, no password", kinds=LISTED),
    ],
    also=[("Targets", "no /proc, only ps")],
)
def test_nothing_survives_where_only_ps_tells(among_listed: Company, row: Row, took: Took) -> None:
    """BSD and macOS are so."""
    nothing_survives(among_listed, row, took)


# The controls.


def test_without_the_collection_the_tree_survives_where_proc_hides_it(hiding_lab: Lab) -> None:
    """Processes that root runs survive as well."""
    remains = play_control(hiding_lab, Setting(hosts=1, pipelining=True), KILL)
    assert remains.survivors >= {*tree.FULL}, remains.story


def test_without_the_collection_the_tree_survives_where_only_ps_tells(
    lab_without_proc: Lab,
) -> None:
    """They survive as well."""
    remains = play_control(lab_without_proc, Setting(hosts=1, pipelining=True, kinds=LISTED), KILL)
    assert remains.survivors >= {*LISTED}, remains.story


# Each takes long: `make coverage` runs them.
pytestmark = pytest.mark.rest
