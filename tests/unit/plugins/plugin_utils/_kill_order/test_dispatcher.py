# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two reports of one tree, made into one.

No process is lost or counted twice. A process that is gone in one is gone.
"""

from __future__ import annotations

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    LeaseResult,
    Outcome,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.dispatcher import combine
from hypothesis import given
from hypothesis import strategies as st

from ..report_factories import KILL_REPORTS, make_kill_report, make_process

CONFIRMED = st.builds(lambda one: LeaseResult(Outcome.CONFIRMED, report=one), KILL_REPORTS)
OTHERS = st.builds(
    LeaseResult, st.sampled_from([Outcome.UNREACHABLE, Outcome.FAILED]), st.text(max_size=5)
)


def identities(rows):
    return {(row.pid, row.start) for row in rows}


@given(st.lists(CONFIRMED | OTHERS, min_size=1, max_size=4))
def test_one_confirmation_is_enough(results):
    confirmed = any(result.outcome is Outcome.CONFIRMED for result in results)
    assert (combine(results).outcome is Outcome.CONFIRMED) == confirmed


@given(st.lists(OTHERS, min_size=1, max_size=4))
def test_without_any_the_last_reason_counts(results):
    assert combine(results) == results[-1]


@given(st.lists(CONFIRMED, min_size=2, max_size=3))
def test_no_process_is_lost_and_none_is_both_gone_and_there(results):
    merged = combine(results).report
    gone, survivors = identities(merged.gone), identities(merged.survivors)
    assert not gone & survivors
    assert gone == set().union(*(identities(one.report.gone) for one in results))
    assert gone | survivors == gone.union(*(identities(one.report.survivors) for one in results))
    assert len(merged.gone) == len(gone)
    assert len(merged.survivors) == len(survivors)
    assert merged.seconds == max(one.report.seconds for one in results)


@given(st.lists(CONFIRMED, min_size=2, max_size=3))
def test_what_was_spared_or_could_not_be_read_stays_told(results):
    merged = combine(results).report
    assert identities(merged.spared) == set().union(
        *(identities(one.report.spared) for one in results)
    )
    assert merged.unreadable == max(one.report.unreadable for one in results)
    assert merged.escalated == any(one.report.escalated for one in results)


@given(st.lists(CONFIRMED, min_size=2, max_size=2))
def test_what_was_given_is_not_changed(results):
    before = [repr(one) for one in results]
    combine(results)
    assert [repr(one) for one in results] == before


def test_what_had_to_be_killed_is_told_so_whatever_reports_first():
    patient, hurried = (
        LeaseResult(Outcome.CONFIRMED, report=make_kill_report(gone=[make_process(2, ended=ended)]))
        for ended in ("exited", "KILL")
    )
    for results in ([patient, hurried], [hurried, patient]):
        assert [row.ended for row in combine(results).report.gone] == ["KILL"]


def test_a_pid_that_was_used_again_is_another_process():
    one, two = (
        LeaseResult(Outcome.CONFIRMED, report=make_kill_report(gone=[make_process(2, start)]))
        for start in (1, 2)
    )
    assert len(combine([one, two]).report.gone) == 2


def test_the_root_is_that_of_the_report_that_saw_it():
    blind, seeing = (
        LeaseResult(Outcome.CONFIRMED, report=make_kill_report()),
        LeaseResult(Outcome.CONFIRMED, report=make_kill_report(root=[5, 4])),
    )
    assert combine([blind, seeing]).report.root == (5, 4)
