# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The processes that may be ended, of those that are asked for."""

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    Process,
    ProcessId,
)
from ansible_collections.treekill.remote.plugins.module_utils._survey.rows import in_order
from ansible_collections.treekill.remote.plugins.module_utils._survey.selection import (
    CommandsMatch,
    Refused,
    select_abandoned,
    select_process,
    select_runs,
)
from ansible_collections.treekill.remote.plugins.module_utils._survey.selection_options import (
    SelectionOptions,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.still_host import (
    LEASE,
    OTHER,
    RUN,
    StillHost,
    cookie,
    surveyed,
)

DEAD, DAEMONS = "00000000", "11111111"


@pytest.fixture
def host():
    """A command in flight, an abandoned one, and what one has left; a command of our own run."""
    host = StillHost()
    host.command(20, 3)
    host.command(30, 1, lease=DEAD)
    host.add(40, 1, ["daemon"], cookie(50, 3, lease=DAEMONS))
    host.command(60, 1, lease=DEAD, run=OTHER)
    return host


def asked(host, **options):
    return select_runs(surveyed(host)[0], SelectionOptions(**{"runs": [RUN], **options}), {OTHER})


def pids(selection):
    return sorted(process.id.pid for process in selection.tops)


def test_of_a_run_what_has_not_returned(host):
    selection = asked(host)
    assert pids(selection) == [20, 21, 30, 31]
    assert [tree.lease for tree in selection.left_alone] == [DAEMONS]


def test_of_a_run_all_where_that_is_said(host):
    selection = asked(host, left_behind=True)
    assert pids(selection) == [20, 21, 30, 31, 40]
    assert selection.left_alone == []


@pytest.mark.parametrize(("lease", "found"), [(LEASE, [20, 21]), (DAEMONS, [40]), ("22222222", [])])
def test_of_a_command_all(host, lease, found):
    assert pids(asked(host, leases=[lease])) == found


@pytest.mark.parametrize(
    "options",
    [
        {"runs": [OTHER]},
        {"runs": [RUN, OTHER]},
        {"runs": [OTHER], "leases": [DEAD]},
        {"runs": [RUN, "f" * 16], "leases": [DEAD]},
    ],
)
def test_our_own_run_is_refused_and_a_lease_of_two_runs(host, options):
    with pytest.raises(Refused):
        asked(host, **options)


@pytest.mark.parametrize(
    "options",
    [{"runs": ["x"]}, {"runs": ["*"]}, {"runs": [""]}, {"leases": ["x"]}, {"runs": [RUN.upper()]}],
)
def test_a_name_that_is_none_is_refused(host, options):
    with pytest.raises(ValueError, match="not a (run|lease) id"):
        asked(host, **options)


def test_of_the_dead_those_that_are_surely_dead_and_not_of_our_own_run(host):
    trees, snapshot = surveyed(host)
    assert pids(select_abandoned(trees, snapshot, None, {OTHER})) == [30, 31]
    assert pids(select_abandoned(trees, snapshot, 5.0, {OTHER})) == [30, 31]
    assert pids(select_abandoned(trees, snapshot, 3600.0, {OTHER})) == []


def test_a_process_and_what_stands_below_it(host):
    trees, snapshot = surveyed(host)
    selection = select_process(host.process(30), trees, snapshot, host.OWN, {OTHER})
    assert pids(selection) == [30]
    assert [process.id.pid for process in selection.roots] == [30]


@pytest.mark.parametrize("pid", [1, 2, 3, StillHost.OWN, 60, 61])
def test_what_is_above_us_is_refused_and_what_our_own_run_has_in_flight(host, pid):
    trees, snapshot = surveyed(host)
    with pytest.raises(Refused):
        select_process(host.process(pid), trees, snapshot, host.OWN, {OTHER})


def test_what_our_own_run_has_left_on_purpose_may_be_ended(host):
    left = host.add(70, 1, ["daemon"], cookie(80, 3, run=OTHER, lease=DAEMONS))
    trees, snapshot = surveyed(host)
    assert pids(select_process(left, trees, snapshot, host.OWN, {OTHER})) == [70]


def test_the_kernels_own_are_refused(host):
    kernel = host.add(90, 0, ["kthreadd"], kernel=True)
    trees, snapshot = surveyed(host)
    with pytest.raises(Refused, match="kernel"):
        select_process(kernel, trees, snapshot, host.OWN, {OTHER})


def test_commands_are_recognised_by_run_lease_and_root():
    match = CommandsMatch({(RUN, LEASE): {20}, (RUN, DEAD): set()})
    assert match.named_root(cookie(20, 3)) == 20
    assert match.named_root(cookie(21, 3)) is None
    assert match.named_root(cookie(21, 3, lease=DEAD)) == 21
    assert match.named_root(cookie(20, 3, lease=DAEMONS)) is None
    assert match.named_root(cookie(20, 3, run=OTHER)) is None
    assert match.named_root(b"X=" + cookie(20, 3).split(b"\0")[1] + b"\0") is None
    assert match.named_root(b"TREEKILL=spare\0") is None
    assert CommandsMatch({}).named_root(cookie(20, 3)) is None


@given(st.dictionaries(st.integers(1, 9), st.integers(0, 9), max_size=9))
def test_each_process_is_told_once_and_below_the_parent(parents):
    members = [Process(ProcessId(pid, 1), ppid) for pid, ppid in parents.items()]
    order = in_order(members)
    assert sorted(process.id.pid for process, dummy in order) == sorted(parents)
    depth = {process.id.pid: deep for process, deep in order}
    seen = set()
    for process, deep in order:
        if deep:
            assert process.ppid in seen
            assert deep == depth[process.ppid] + 1
        seen.add(process.id.pid)
