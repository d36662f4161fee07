# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The looks of a sweep at a host, its notes in the journal, and its summary for the user."""

from __future__ import annotations

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import Outcome
from ansible_collections.treekill.remote.plugins.plugin_utils._records.journal_entry import (
    JournalEntry,
    JournalLease,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._records.sweep import (
    Look,
    LookOptions,
    Place,
    Sweep,
    SweepOptions,
    left_open,
    looks,
)
from hypothesis import given
from hypothesis import strategies as st

from .test_journal import HEAD

RUN, OTHER = "0123456789abcdef", "fedcba9876543210"

HERE, THERE = "10.0.0.1", "10.0.0.2:2222"


def entry(run=RUN, leases=("00000001", "00000002"), host="web1", address=""):
    made = JournalEntry("p", run, HEAD, state="interrupted")
    made.leases = {
        lease: JournalLease(lease, host, outcome=Outcome.UNREACHABLE, address=address)
        for lease in leases
    }
    return made


def make_options(**more):
    usual = {
        "runs": [],
        "leases": [],
        "journal": "ask",
        "dead": True,
        "older_than": "0s",
        "left_behind": False,
    }
    return SweepOptions(**{**usual, **more})


def planned(options, *entries, host="web1"):
    return [look.options.to_arguments() for look in looks(options, entries, Place(host, HERE))]


def test_the_open_commands_of_the_journal_come_before_abandoned_ones():
    first = {"runs": [RUN], "leases": ["00000001", "00000002"], "left_behind": False}
    dead = {"dead": True, "older_than": "0s"}
    assert planned(make_options(), entry()) == [first, dead]
    assert planned(make_options(journal="only"), entry()) == [first]
    assert planned(make_options(journal="only"), entry(), host="web2") == []
    assert planned(make_options(dead=False), entry(host="web2")) == []


def test_with_named_runs_no_other_one_is_looked_for():
    named = planned(make_options(runs=[OTHER], dead=False), entry())
    assert named == [{"runs": [OTHER], "left_behind": False}]


def test_a_lease_that_is_not_open_does_not_stand_for_its_whole_run():
    """Without a lease, process_tree_kill ends all commands of the run."""
    options = make_options(runs=[RUN], leases=["00000009"], journal="only", dead=False)
    assert planned(options, entry()) == []
    options = make_options(runs=[RUN], leases=["00000002"], journal="only", dead=False)
    (look,) = looks(options, [entry()], Place("web1", HERE))
    assert look.options.leases == ("00000002",)
    assert look.note is None, "the other lease of the run is open there"


def told_open(options, *entries):
    return list(left_open(options, entries, Place("web1", HERE)))


@pytest.mark.parametrize("address", [HERE, ""], ids=["this address", "an old line"])
def test_a_command_with_this_address_or_none_is_looked_for_and_noted(address):
    (look,) = looks(make_options(journal="only"), [entry(address=address)], Place("web1", HERE))
    assert look.note == (RUN, ("00000001", "00000002"))
    assert told_open(make_options(), entry(address=address)) == []


def test_a_command_with_another_address_is_neither_looked_for_nor_noted():
    assert planned(make_options(journal="only"), entry(address=THERE)) == []
    (text,) = told_open(make_options(), entry(address=THERE))
    assert f"was at {THERE}, and this one is at {HERE}" in text
    assert text.endswith("left open: 00000001 00000002")
    assert told_open(make_options(), entry(address=THERE, host="web2")) == []
    assert told_open(make_options(runs=[OTHER]), entry(address=THERE)) == []
    (text,) = told_open(make_options(runs=[RUN], leases=["00000002"]), entry(address=THERE))
    assert text.endswith("left open: 00000002")


def test_of_one_run_only_the_commands_with_another_address_stay_open():
    made = entry()
    made.leases["00000001"].address = THERE
    made.leases["00000002"].address = HERE
    (look,) = looks(make_options(journal="only"), [made], Place("web1", HERE))
    assert look.note == (RUN, ("00000002",))
    (text,) = told_open(make_options(), made)
    assert text.endswith("left open: 00000001")


def test_a_sweep_whose_own_address_is_not_known_takes_no_command_for_one_of_this_host():
    place = Place("web1", "")
    assert list(looks(make_options(journal="only"), [entry(address=THERE)], place)) == []
    assert len(list(left_open(make_options(), [entry(address=THERE)], place))) == 1


@pytest.mark.parametrize("check", [False, True])
def test_a_host_whose_name_has_open_commands_elsewhere_is_not_clean(check):
    sweep = Sweep(check, told_open(make_options(), entry(address=THERE)))
    assert sweep.add(LOOK, result())
    assert sweep.ending == "left open"
    assert THERE in sweep.summary[0]
    control = Sweep(check, told_open(make_options(), entry(address=HERE)))
    control.add(LOOK, result())
    assert control.ending == "clean"


def row(pid, **more):
    return {"pid": pid, "start": 1, "user": "u", "command": f"sleep {pid}", **more}


def result(**more):
    return {"gone": [], "survivors": [], "left_alone": [], "complete": True, **more}


LOOK = Look("dead runs", LookOptions(dead=True))


@pytest.mark.parametrize(
    ("check", "told", "ending", "certain", "first"),
    [
        (False, result(), "clean", True, "dead runs: nothing is alive"),
        (False, result(gone=[row(7)]), "clean", True, "dead runs: 1 ended, 0 survivors"),
        (
            False,
            result(gone=[row(7)], survivors=[row(8, reason="no")]),
            "with survivors",
            False,
            "dead runs: 1 ended, 1 survivor",
        ),
        (False, result(complete=False), "seen in part", False, "dead runs: nothing is alive"),
        (True, result(found=[row(7)]), "to be swept", False, "dead runs: 1 process"),
        (True, result(found=[row(7), row(8)]), "to be swept", False, "dead runs: 2 processes"),
        (True, result(), "clean", True, "dead runs: nothing is alive"),
    ],
)
def test_what_a_look_has_found_is_told_and_noted_only_if_it_is_certain(
    check, told, ending, certain, first
):
    sweep = Sweep(check)
    assert sweep.add(LOOK, told) is certain
    assert (sweep.summary[0], sweep.ending) == (first, ending)


def test_a_process_that_two_looks_find_in_check_mode_is_listed_once():
    sweep = Sweep(check=True)
    for dummy in range(2):
        sweep.add(LOOK, result(found=[row(7)]))
    assert [line for line in sweep.summary if "sleep 7" in line] == ["7 u sleep 7"]
    assert sweep.found == 1


ROWS = st.lists(st.integers(2, 9).map(lambda pid: row(pid, reason="no")), max_size=3)


@given(
    st.booleans(),
    st.lists(
        st.builds(
            lambda gone, survivors, complete: result(
                gone=gone, survivors=survivors, complete=complete
            ),
            ROWS,
            ROWS,
            st.booleans(),
        ),
        max_size=4,
    ),
)
def test_a_host_with_a_survivor_or_a_blind_spot_is_never_clean(check, results):
    sweep = Sweep(check)
    certain = [sweep.add(LOOK, one) for one in results]
    if any(one["survivors"] or not one["complete"] for one in results):
        assert sweep.ending != "clean"
    for known, one in zip(certain, results, strict=True):
        assert not known or one["complete"]
    assert sweep.ended == sum(len(one["gone"]) for one in results)
