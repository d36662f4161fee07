# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guardian's states, with events in any order.

Each granted lease is given back, or its kill order is confirmed or reported, once.
"""

from __future__ import annotations

import signal
from collections import Counter
from typing import Any

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import JsonObject
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ..report_factories import make_process, make_report
from ..stepped_guardian import Peer, SteppedGuardian

RUN_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

CONFIRMED = {"outcome": "confirmed", "reason": "", "report": make_report(gone=[make_process(2)])}
ANSWERS: list[object] = [
    CONFIRMED,
    {"outcome": "unreachable", "reason": "no route", "report": None},
    {"outcome": "failed", "reason": "no sudo", "report": None},
    b"",  # it was killed
    b'{"outcome": "confirmed", "rea',  # in the middle of its answer
    b"garbage",
    {"outcome": "whatever", "reason": "", "report": None},
]

#: Seconds: within a grace, beyond the pauses between two tries, beyond a courier's time.
WHILES = st.sampled_from([0.0, 0.3, 1.0, 15.0, 50.0])

CHOICE = st.integers(0, 1000)


class Life:
    """The state of one lease in the model."""

    def __init__(self, holder: Peer, terms: JsonObject) -> None:
        self.holder = holder
        self.terms = terms
        self.state = "open"  # open, detached, done, broken
        #: The outcome if it is broken and no courier is sent to its host.
        self.without_order = ""


class Histories(RuleBasedStateMachine):
    """The model. Each rule does one thing to the guardian, and lets it do all that it has to."""

    def __init__(self) -> None:
        super().__init__()
        self.stepped = SteppedGuardian()
        self.workers: list[Peer] = []
        self.lives: dict[str, Life] = {}
        self.main_lives = True
        self.closed = False
        self.asked = False
        self.skips_grace = False
        self.awaiting: Counter[int] = Counter()
        self.told: Counter[int] = Counter()
        self.heard: Counter[int] = Counter()

    @initialize(count=st.integers(1, 3))
    def workers_come(self, count: int) -> None:
        self.workers += [self.stepped.new_peer() for dummy in range(count)]

    # What workers do.

    def pick(self, choice: int, *states: str) -> str:
        names = [
            name
            for name, life in self.lives.items()
            if life.state in states and not life.holder.gone
        ]
        return names[choice % len(names)] if names else ""

    @precondition(
        lambda self: any(not worker.gone for worker in self.workers) and len(self.lives) < 8
    )
    @rule(
        choice=CHOICE,
        keep=st.booleans(),
        end_async=st.booleans(),
        retry_for=st.sampled_from([0.0, 5.0, 60.0]),
        timeout=st.sampled_from([0.0, 10.0]),
        local=st.booleans(),
        cut=st.booleans(),
        transfer=st.sampled_from([False, False, True]),
    )
    def take(self, choice: int, **terms: Any) -> None:
        alive = [worker for worker in self.workers if not worker.gone]
        worker = alive[choice % len(alive)]
        name = f"{len(self.lives) + 1:08x}"
        terms = {"run": "00000000000000aa", "supervised": True, **terms}
        self.say(
            worker,
            {
                "op": "take",
                "lease": name,
                "host": f"web{name}",
                "task": "a task",
                "order": "{}",
                "reach": "{}",
                "terms": terms,
            },
        )
        (answer,) = self.hear(worker)
        assert answer["granted"] == (not self.closed)
        if answer["granted"]:
            self.lives[name] = Life(worker, terms)
        else:
            assert answer["why"]

    @rule(choice=CHOICE)
    def done(self, choice: int) -> None:
        name = self.pick(choice, "open", "detached", "broken", "done")
        if name:
            if self.lives[name].state in ("open", "detached"):
                self.lives[name].state = "done"
            self.say(self.lives[name].holder, {"op": "done", "lease": name})

    @rule(choice=CHOICE)
    def detach(self, choice: int) -> None:
        name = self.pick(choice, "open", "detached", "broken", "done")
        if name:
            if self.lives[name].state == "open":
                self.lives[name].state = "detached"
            self.say(self.lives[name].holder, {"op": "detach", "lease": name})

    @rule(choice=CHOICE, lost=st.booleans(), wait=st.booleans())
    def broken(self, choice: int, lost: bool, wait: bool) -> None:
        name = self.pick(choice, "open", "detached", "broken", "done")
        if name:
            life = self.lives[name]
            if life.state in ("open", "detached"):
                self.breaks(life, lost)
            if wait:
                self.awaiting[life.holder.pid] += 1
            self.say(life.holder, {"op": "broken", "lease": name, "lost": lost, "wait": wait})

    @rule(choice=CHOICE, operation=st.sampled_from(["done", "detach", "broken", "take"]))
    def a_client_names_what_is_not_its_own(self, choice: int, operation: str) -> None:
        """Its connection is closed, and what it held itself is broken."""
        strangers = [worker for worker in self.workers if not worker.gone]
        name = self.pick(choice, "open", "detached")
        strangers = [
            worker for worker in strangers if name and worker is not self.lives[name].holder
        ]
        if strangers:
            stranger = strangers[choice % len(strangers)]
            self.goes(stranger)
            taking = {
                "host": "h",
                "task": "t",
                "order": "{}",
                "reach": "{}",
                "terms": self.lives[name].terms,
            }
            more = {"take": taking, "broken": {"lost": False, "wait": False}}.get(operation, {})
            self.say(stranger, {"op": operation, "lease": name, **more})
            assert stranger.gone

    @rule(
        choice=CHOICE,
        garbage=st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\2[]", b"\0\0\0\1x", None]),
    )
    def a_worker_goes(self, choice: int, garbage: bytes | None) -> None:
        alive = [worker for worker in self.workers if not worker.gone]
        if alive:
            worker = alive[choice % len(alive)]
            self.goes(worker)
            if garbage is None:
                worker.hang_up()
            else:
                worker.socket.sendall(garbage)
            self.settle()

    @precondition(lambda self: len(self.workers) < 5)
    @rule()
    def a_worker_comes(self) -> None:
        self.workers.append(self.stepped.new_peer())

    # What couriers bring.

    @precondition(lambda self: self.stepped.couriers)
    @rule(choice=CHOICE, answer=st.sampled_from(ANSWERS))
    def a_courier_comes_back(self, choice: int, answer: object) -> None:
        couriers = self.stepped.couriers
        self.stepped.answer(couriers[choice % len(couriers)], answer)
        self.settle()

    @rule(seconds=WHILES)
    def time_passes(self, seconds: float) -> None:
        self.stepped.after(seconds)
        self.settle()

    @rule(refuses=st.booleans())
    def the_system_has_no_more_processes(self, refuses: bool) -> None:
        self.stepped.system.refuses = refuses

    # What the main process does.

    @rule(number=st.sampled_from(RUN_SIGNALS))
    def a_signal(self, number: signal.Signals) -> None:
        if self.main_lives:
            self.stepped.signal(number)
            if self.asked and not self.closed and not self.skips_grace:
                # The run has ended by itself: the first signal only speeds up the end of what is
                # left of it.
                self.skips_grace = True
            else:
                self.interrupted()
            self.settle()

    @precondition(lambda self: self.main_lives)
    @rule(wait=st.booleans())
    def main_asks_for_the_report(self, wait: bool) -> None:
        self.asked = True
        if any(life.state == "open" for life in self.lives.values()):
            self.interrupted()
        self.say(self.stepped.main, {"op": "report", "wait": wait})
        messages = self.hear(self.stepped.main)
        assert messages
        if not wait:
            self.assert_tells_all(messages[-1]["report"])

    @precondition(lambda self: self.main_lives)
    @rule()
    def main_dies(self) -> None:
        self.main_lives = False
        self.stepped.main.die()
        self.settle()
        # Once it has asked for its report, its end is the ordinary one, and detached jobs are on
        # their own.
        if not self.asked:
            self.interrupted()

    # The model's own.

    def breaks(self, life: Life, lost: bool) -> None:
        if lost and life.terms["keep"]:
            life.without_order = "left"
        elif life.terms["transfer"]:
            life.without_order = "broken off"
        elif life.state == "detached" and not life.terms["end_async"]:
            life.without_order = "left"
        life.state = "broken"

    def goes(self, worker: Peer) -> None:
        for life in self.lives.values():
            if life.holder is worker and life.state == "open":
                self.breaks(life, lost=False)

    def interrupted(self) -> None:
        if not self.closed:
            self.closed = True
            for life in self.lives.values():
                if life.state in ("open", "detached"):
                    self.breaks(life, lost=False)

    def say(self, peer: Peer, message: JsonObject) -> None:
        peer.send(message)
        self.settle()

    def hear(self, peer: Peer) -> list[JsonObject]:
        """Note what it was told, except the results of its broken leases."""
        others = []
        for message in peer.read():
            if "tried" in message:
                self.told[peer.pid] += 1
                assert message["tried"] is None or message["tried"]["outcome"] != "under way"
            elif "heard" in message:
                self.heard[peer.pid] += 1
            else:
                others.append(message)
        return others

    def settle(self) -> None:
        self.stepped.loop.settle()
        for worker in self.workers:
            if not worker.gone:
                assert all("granted" in message for message in self.keep(worker))

    def keep(self, worker: Peer) -> list[JsonObject]:
        others = self.hear(worker)
        worker.received += others
        return others

    def assert_tells_all(self, told: JsonObject) -> None:
        """Assert that each broken lease, and no other, is reported once with its outcome."""
        results = Counter(result["lease"] for result in told["results"])
        assert results == Counter(
            {name: 1 for name, life in self.lives.items() if life.state == "broken"}
        )
        for result in told["results"]:
            life = self.lives[result["lease"]]
            assert result["host"] == f"web{result['lease']}"
            assert (
                result["outcome"] if result["outcome"] in ("left", "broken off") else ""
            ) == life.without_order
            assert (result["outcome"] == "confirmed") == (result["report"] is not None)
            assert result["outcome"] == "confirmed" or result["reason"]

    @invariant()
    def no_courier_is_sent_after_what_was_given_back_or_is_at_work(self) -> None:
        for sent in self.stepped.couriers:
            life = self.lives[sent.lease]
            assert life.state == "broken"
            assert not life.without_order

    @invariant()
    def a_lease_is_open_or_ended_as_it_has_to_be(self) -> None:
        leases = self.stepped.guardian._leases
        assert sorted(lease.lease for lease in leases.opened) == sorted(
            name for name, life in self.lives.items() if life.state in ("open", "detached")
        )
        told = Counter(
            [lease.lease for lease in leases.unclosed]
            + [lease.lease for lease, dummy in leases.closed]
        )
        assert told == Counter(
            {name: 1 for name, life in self.lives.items() if life.state == "broken"}
        )

    @invariant()
    def no_client_is_told_more_than_was_asked_for(self) -> None:
        assert self.told <= self.awaiting

    @invariant()
    def what_is_not_closed_has_a_courier_under_way_or_due(self) -> None:
        """No lease is forgotten."""
        under_way = {sent.lease for sent in self.stepped.couriers}
        for lease in self.stepped.guardian._leases.unclosed:
            assert (
                lease.lease in under_way or lease.lease in self.stepped.guardian._dispatcher.waiting
            )

    def teardown(self) -> None:
        """End all processes of the run.

        The guardian closes what is left within the times that it was given, and then ends as well.
        """
        try:
            self.see_it_end()
        finally:
            self.clean_up()

    def see_it_end(self) -> None:
        self.stepped.system.refuses = False
        if self.main_lives:
            if self.closed:
                self.main_asks_for_the_report(wait=False)
            self.main_dies()
        self.let_couriers_come_back()
        assert [
            worker
            for worker in self.workers
            if not worker.gone and self.told[worker.pid] != self.awaiting[worker.pid]
        ] == []
        for worker in self.workers:
            if not worker.gone:
                self.goes(worker)
                worker.hang_up()
        self.settle()
        self.let_couriers_come_back()
        assert not self.stepped.at_work
        self.a_lease_is_open_or_ended_as_it_has_to_be()
        closed = self.stepped.guardian._leases.closed
        assert not self.stepped.guardian._leases.unclosed
        for lease, result in closed:
            outcome = result.outcome.value
            assert (outcome if outcome in ("left", "broken off") else "") == self.lives[
                lease.lease
            ].without_order
            assert result.report is not None or result.reason

    def let_couriers_come_back(self) -> None:
        for dummy in range(10):
            for sent in self.stepped.couriers:
                self.stepped.answer(sent, CONFIRMED)
            self.stepped.after(20.0)
            self.settle()

    def clean_up(self) -> None:
        for sent in self.stepped.couriers:
            self.stepped.answer(sent, CONFIRMED)
        for peer in [*self.workers, *([self.stepped.main] if self.main_lives else [])]:
            peer.die()
        self.stepped.close()


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, database=None, phases=[Phase.generate]
)
