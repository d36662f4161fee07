# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of leases: every granted lease ends in done, or in exactly one result.

Events may come in any order.
"""

from __future__ import annotations

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    LeaseResult,
    Outcome,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import (
    Lease,
    LeaseTable,
    LeaseTableError,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from ..lease_factories import make_terms

HOLDERS = st.integers(1, 4)
OUTCOMES = st.sampled_from(Outcome)


def lease_of(name: str, holder: int) -> Lease:
    return Lease(
        lease=name, holder=holder, host="web1", task="a task", terms=make_terms(), order="{}"
    )


class Histories(RuleBasedStateMachine):
    """The model: for each lease the state that it has to be in."""

    names = Bundle("names")

    def __init__(self) -> None:
        super().__init__()
        self.leases = LeaseTable()
        self.number = 0
        self.state: dict[str, str] = {}  # open, detached, broken, closed, done
        self.holder: dict[str, int] = {}
        self.closed = False

    @initialize(target=names)
    def nothing_yet(self):
        return multiple()

    @rule(target=names, holder=HOLDERS)
    def take(self, holder):
        self.number += 1
        name = f"{self.number:08x}"
        assert self.leases.grant(lease_of(name, holder)) == (not self.closed)
        if self.closed:
            return multiple()
        self.state[name], self.holder[name] = "open", holder
        return name

    @rule(name=names, holder=HOLDERS)
    def take_again(self, name, holder):
        if self.state[name] in ("open", "detached", "broken"):
            with pytest.raises(LeaseTableError, match=name):
                self.leases.grant(lease_of(name, holder))

    @rule(name=names)
    def done(self, name):
        was_open = self.state[name] in ("open", "detached")
        assert self.leases.done(name, self.holder[name]) == was_open
        if was_open:
            self.state[name] = "done"

    @rule(name=names)
    def detach(self, name):
        self.leases.mark_detached(name, self.holder[name])
        if self.state[name] == "open":
            self.state[name] = "detached"

    @rule(name=names)
    def broken(self, name):
        handed_out = self.leases.broken(name, self.holder[name])
        assert (handed_out is not None) == (self.state[name] in ("open", "detached"))
        if handed_out is not None:
            assert handed_out.lease == name
            self.state[name] = "broken"

    @rule(
        name=names, holder=HOLDERS, operation=st.sampled_from(["done", "mark_detached", "broken"])
    )
    def another_holder_names_it(self, name, holder, operation):
        if holder != self.holder[name] and self.state[name] in ("open", "detached"):
            with pytest.raises(LeaseTableError, match=name):
                getattr(self.leases, operation)(name, holder)

    @rule(holder=HOLDERS)
    def holder_gone(self, holder):
        expected = {
            name
            for name, state in self.state.items()
            if state == "open" and self.holder[name] == holder
        }
        assert {lease.lease for lease in self.leases.holder_gone(holder)} == expected
        self.state.update(dict.fromkeys(expected, "broken"))

    @rule()
    def close_gate(self):
        self.leases.close_gate()
        self.closed = True

    @rule()
    def break_all(self):
        expected = {name for name, state in self.state.items() if state in ("open", "detached")}
        assert {lease.lease for lease in self.leases.break_all()} == expected
        self.state.update(dict.fromkeys(expected, "broken"))

    @rule(name=names, outcome=OUTCOMES)
    def close(self, name, outcome):
        if self.state[name] == "broken":
            self.leases.close(name, LeaseResult(outcome))
            self.state[name] = "closed"
        else:
            with pytest.raises(LeaseTableError, match=name):
                self.leases.close(name, LeaseResult(outcome))

    @invariant()
    def the_table_says_what_happened(self):
        def in_state(*states: str) -> list[str]:
            return sorted(name for name, state in self.state.items() if state in states)

        assert sorted(lease.lease for lease in self.leases.opened) == in_state("open", "detached")
        assert sorted(lease.lease for lease in self.leases.unclosed) == in_state("broken")
        assert sorted(lease.lease for lease, dummy in self.leases.closed) == in_state("closed")
        assert sorted(lease.lease for lease in self.leases.opened if lease.detached) == in_state(
            "detached"
        )

    def teardown(self):
        """End the run.

        What is open breaks, what is broken is closed, and then each lease has ended once.
        """
        self.leases.close_gate()
        self.leases.break_all()
        for lease in self.leases.unclosed:
            self.leases.close(lease.lease, LeaseResult(Outcome.LEFT))
        closed = [lease.lease for lease, dummy in self.leases.closed]
        assert len(closed) == len(set(closed))
        assert {*closed} | {name for name, state in self.state.items() if state == "done"} == {
            *self.state
        }
        assert not self.leases.opened
        assert not self.leases.unclosed


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_the_lists_are_copies():
    """Code that walks over the open leases breaks leases meanwhile."""
    leases = LeaseTable()
    leases.grant(lease_of("00000001", 1))
    for lease in leases.opened:
        leases.done(lease.lease, 1)
    leases.opened.append(lease_of("00000002", 1))
    assert leases.opened == []


def test_the_detached_leases_of_a_host_share_one_text_of_how_to_reach_it():
    leases = LeaseTable()
    for number in range(100):
        lease = lease_of(f"{number:08x}", 1)
        # Each as a message brings it: equal texts that are different objects.
        lease.reach = "".join(['{"password": "', "x" * 5000, '"}'])
        leases.grant(lease)
        leases.mark_detached(lease.lease, 1)
    assert len({id(lease.reach) for lease in leases.opened}) == 1
