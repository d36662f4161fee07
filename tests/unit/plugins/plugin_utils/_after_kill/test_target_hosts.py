# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts for the run after the kill: interrupted, and confirmed to be clean."""

from __future__ import annotations

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.target_hosts import (
    AfterHosts,
    after_hosts,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    LeaseResult,
    Outcome,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease, LeaseTable
from hypothesis import given
from hypothesis import strategies as st

from ..lease_factories import make_terms
from ..report_factories import make_kill_report, make_process

CLEAN = LeaseResult(Outcome.CONFIRMED, report=make_kill_report(gone=[make_process(2)]))
SURVIVED = LeaseResult(
    Outcome.CONFIRMED, report=make_kill_report(survivors=[make_process(2, ended=None)])
)
LEFT = LeaseResult(Outcome.LEFT, "kill_async is false")
BROKEN_OFF = LeaseResult(Outcome.BROKEN_OFF, "a file transfer")
NOT_BEGUN = LeaseResult(Outcome.NOT_BEGUN, "its command had not been sent")
UNREACHABLE = LeaseResult(Outcome.UNREACHABLE, "no route")
FAILED = LeaseResult(Outcome.FAILED, "no shell")
UNCLOSED = None

HISTORIES = st.lists(
    st.tuples(
        st.sampled_from(["web1", "web2", "web3"]),
        st.sampled_from([CLEAN, SURVIVED, LEFT, UNREACHABLE, FAILED, UNCLOSED]),
    ),
    max_size=8,
)


def chosen(*history: tuple[str, LeaseResult | None], exempt: tuple[int, ...] = ()) -> AfterHosts:
    """Return the hosts, each after a broken lease that was closed like this.

    `exempt`: numbers of leases, from 0.
    """
    leases = LeaseTable()
    for number, (host, result) in enumerate(history):
        name = f"{number:08x}"
        leases.grant(
            Lease(
                lease=name,
                holder=1,
                host=host,
                task=f"Task {number}",
                terms=make_terms(),
                order="{}",
            )
        )
        leases.broken(name, 1)
        if result is not None:
            leases.close(name, result)
    return after_hosts(leases, {f"{number:08x}" for number in exempt})


def test_a_clean_host_is_one_with_the_names_of_its_tasks():
    assert chosen(("web1", CLEAN), ("web1", CLEAN), ("web2", CLEAN)) == AfterHosts(
        {"web1": ["Task 0", "Task 1"], "web2": ["Task 2"]}, {}
    )


@pytest.mark.parametrize("bad", [SURVIVED, UNREACHABLE, FAILED, UNCLOSED])
@pytest.mark.parametrize("first", [True, False])
def test_one_tree_that_is_not_clean_leaves_its_host_out(bad, first):
    history = [("web1", bad), ("web1", CLEAN)]
    found = chosen(*history if first else history[::-1])
    assert not found.tasks
    assert [*found.left_out] == ["web1"]


def test_what_is_left_on_purpose_counts_for_nothing():
    assert chosen(("web1", LEFT)) == AfterHosts({}, {})
    assert chosen(("web1", LEFT), ("web1", CLEAN)) == AfterHosts({"web1": ["Task 1"]}, {})


def test_what_was_not_broken_by_an_interruption_makes_no_host_interrupted():
    assert chosen(("web1", CLEAN), exempt=(0,)) == AfterHosts({}, {})
    assert chosen(("web1", SURVIVED), exempt=(0,)) == AfterHosts({}, {})


def test_a_transfer_that_was_broken_off_makes_its_host_an_interrupted_one():
    assert chosen(("web1", BROKEN_OFF)) == AfterHosts({"web1": ["Task 0"]}, {})


def test_a_command_that_had_not_been_sent_makes_no_host_interrupted_and_leaves_none_out():
    assert chosen(("web1", NOT_BEGUN)) == AfterHosts({}, {})
    assert chosen(("web1", NOT_BEGUN), ("web1", CLEAN)) == AfterHosts({"web1": ["Task 1"]}, {})


def test_its_survivors_count_nevertheless():
    found = chosen(("web1", SURVIVED), ("web1", CLEAN), exempt=(0,))
    assert (found.tasks, [*found.left_out]) == ({}, ["web1"])


@given(HISTORIES)
def test_every_interrupted_host_is_either_chosen_or_left_out_for_a_reason(history):
    found = chosen(*history)
    assert {*found.tasks} | {*found.left_out} == {
        host for host, result in history if result is not LEFT
    }
    assert not {*found.tasks} & {*found.left_out}
    for host in found.tasks:
        assert all(result in (CLEAN, LEFT) for one, result in history if one == host)


@pytest.mark.parametrize("name", ["", "a\nb", "{{ lookup('pipe', 'id') }}", "{% raw %}"])
def test_a_name_that_would_become_something_else_is_left_out(name):
    found = chosen((name, CLEAN))
    assert (found.tasks, [*found.left_out]) == ({}, [name])
