# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at hosts that have not answered, and the time that a transaction gives their order.

Couriers are real processes. The test decides what they answer, and when time passes.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    LeaseResult,
    Outcome,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order import courier
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.courier import Courier
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.dispatcher import (
    Dispatcher,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.kill_order import PassMode
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.lookout import Lookout
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease, LeaseTable
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop

from ..lease_factories import make_terms
from ..report_factories import make_kill_report, make_process

#: Real seconds within which a courier has to begin, and to answer.
LONG = 20.0


def lease(number: int = 1, **more: Any) -> Lease:
    """Return a lease on a host of its own, with 600 s for a transaction."""
    return Lease(
        f"{number:08x}", 0, f"web{number}", "a task", make_terms(finish_timeout=600.0, **more), "{}"
    )


def confirmed(*programs: str) -> LeaseResult:
    """Return the answer of a host where these command lines are finishing."""
    rows = [
        make_process(pid, command=command, ended=None, seconds=None, transaction="finishing")
        for pid, command in enumerate(programs, 2)
    ]
    return LeaseResult(Outcome.CONFIRMED, report=make_kill_report(finishing=rows))


class Hosts(Loop):
    """A loop whose time passes when the test lets it, and the hosts that its couriers go to."""

    def __init__(self, log: Path) -> None:
        super().__init__(clock=lambda: self.now)
        self.now = 1000.0
        self._log = log
        log.touch()
        #: The answer to each mode, by the name of the host; None if there is none.
        self.looks: dict[str, LeaseResult] = {}
        self.ends: dict[str, LeaseResult] = {}
        self.hurried: dict[str, LeaseResult] = {}

    def be_courier(
        self, one: Lease, write_end: int, mode: PassMode, dummy_kill_began: float
    ) -> NoReturn:
        """Answer in the forked process, or wait to be ended."""
        try:
            os.setsid()
            with open(self._log, "a", encoding="utf-8") as log:
                log.write(f"{os.getpid()} {mode.name} {one.host}\n")
            answers = {
                PassMode.LOOK: self.looks,
                PassMode.END: self.ends,
                PassMode.AT_ONCE: self.hurried,
            }
            answer = answers[mode].get(one.host)
            while answer is None:
                signal.pause()
            os.write(write_end, json.dumps(answer.to_message()).encode())
        finally:
            os._exit(0)

    def sent(self, mode: PassMode) -> list[tuple[int, str]]:
        """Return the pids of the couriers that have begun such an mode, and their hosts."""
        rows = [line.split() for line in self._log.read_text().splitlines()]
        return [(int(pid), host) for pid, name, host in rows if name == mode.name]

    def serve_until(self, seen: Callable[[], object]) -> None:
        """Serve the couriers, while the clock stands still."""
        deadline = time.monotonic() + LONG
        while not seen():
            assert time.monotonic() < deadline, self._log.read_text()
            self._serve(self._selector.select(0.01))

    def after_seconds(self, seconds: float) -> None:
        """Let so much time pass."""
        until = self.now + seconds
        while self._pause() is not None and self._timers[0][0] <= until:
            self.now = max(self.now, self._timers[0][0])
            self._fire()
        self.now = until

    def end_all(self) -> None:
        """End the couriers that a failed test has left, which wait forever."""
        for line in self._log.read_text().splitlines():
            pid = int(line.split()[0])
            # Those that have ended are not children any more.
            with contextlib.suppress(ChildProcessError):
                if not os.waitpid(pid, os.WNOHANG)[0]:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)

    @property
    def watched(self) -> int:
        """The number of couriers that are under way."""
        return len(self._selector.get_map())


def is_there(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


def ends(hosts: Hosts, pid: int) -> None:
    """Return when a courier has ended, and was waited for."""
    deadline = time.monotonic() + LONG
    while is_there(pid):
        assert time.monotonic() < deadline, f"courier {pid} goes on"
        hosts.after_seconds(0.1)


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    loop = Hosts(tmp_path / "couriers")
    monkeypatch.setattr(courier, "_be_courier", loop.be_courier)
    yield loop
    left = loop.watched
    loop.end_all()
    assert not left, "a courier is still under way"


@pytest.fixture
def changes() -> list[str]:
    """The moments at which the guardian was told of a change."""
    return []


@pytest.fixture
def lookout(hosts: Hosts, changes: list[str]) -> Lookout:
    return Lookout(hosts, lambda: changes.append("change"))


def look(hosts: Hosts, number: int, seconds: float = 5.0) -> None:
    """Let time pass until the next look, and let it end."""
    hosts.after_seconds(seconds)
    hosts.serve_until(lambda: len(hosts.sent(PassMode.LOOK)) == number and not hosts.watched)


def test_a_transaction_is_told_with_its_program_and_the_time_of_the_order(hosts, lookout, changes):
    one = lease()
    hosts.looks["web1"] = confirmed("/usr/bin/apt-get install --password=horse x", "dpkg --status")
    lookout.watch(one)
    look(hosts, 1, 1.0)
    assert changes == ["change"]
    assert lookout.is_finishing(one.lease)
    assert [(row.host, row.program, row.seconds) for row in lookout.finishing()] == [
        ("web1", "apt-get", 1.0)
    ]
    hosts.after_seconds(2.5)
    assert [row.seconds for row in lookout.finishing()] == [3.5]
    lookout.forget(one.lease)
    assert not lookout.is_finishing(one.lease)
    assert lookout.finishing() == ()


def test_a_host_that_answers_within_a_second_is_not_looked_at(hosts, lookout):
    one = lease()
    lookout.watch(one)
    hosts.after_seconds(0.9)
    assert not hosts.watched
    lookout.forget(one.lease)
    hosts.after_seconds(60.0)
    assert hosts.sent(PassMode.LOOK) == []
    lookout.watch(one)
    hosts.looks["web1"] = confirmed()
    look(hosts, 1, 1.0)
    lookout.forget(one.lease)


def test_without_time_for_transactions_there_is_no_look(hosts, lookout):
    one = lease()
    one.terms = make_terms(finish_timeout=0.0)
    lookout.watch(one)
    hosts.after_seconds(2.0)
    assert not hosts.watched
    lookout.forget(one.lease)


def test_a_look_that_sees_nothing_is_no_change_and_the_end_of_a_transaction_is_one(
    hosts, lookout, changes
):
    one = lease()
    hosts.looks["web1"] = confirmed()
    lookout.watch(one)
    look(hosts, 1)
    assert (changes, lookout.is_finishing(one.lease)) == ([], False)
    hosts.looks["web1"] = confirmed("dpkg")
    look(hosts, 2)
    assert (changes, lookout.is_finishing(one.lease)) == (["change"], True)
    hosts.looks["web1"] = confirmed()
    look(hosts, 3)
    assert (changes, lookout.is_finishing(one.lease)) == (["change"] * 2, False)
    look(hosts, 4)
    assert changes == ["change"] * 2
    lookout.forget(one.lease)


def test_what_was_seen_counts_for_half_a_minute_without_another_answer(hosts, lookout):
    """A look that does not reach the host says nothing about the transaction."""
    one = lease()
    hosts.looks["web1"] = confirmed("dpkg")
    lookout.watch(one)
    look(hosts, 1)
    hosts.looks["web1"] = LeaseResult(Outcome.UNREACHABLE, "no route")
    look(hosts, 2)
    assert lookout.is_finishing(one.lease)
    assert [row.program for row in lookout.finishing()] == ["dpkg"]
    del hosts.looks["web1"]
    hosts.after_seconds(24.0)
    assert lookout.is_finishing(one.lease)
    hosts.after_seconds(2.0)
    assert not lookout.is_finishing(one.lease)
    hosts.serve_until(lambda: len(hosts.sent(PassMode.LOOK)) == 3)
    lookout.forget(one.lease)


def test_a_transaction_counts_no_longer_than_its_time(hosts, lookout):
    """Its time: finish_timeout, two grace periods, and half a minute for the way."""
    one = lease()
    one.terms = make_terms(finish_timeout=20.0, timeout=5.0)
    hosts.looks["web1"] = confirmed("dpkg")
    lookout.watch(one)
    for number in range(1, 12):
        look(hosts, number)
    assert lookout.is_finishing(one.lease)
    look(hosts, 12)
    assert not lookout.is_finishing(one.lease)
    lookout.forget(one.lease)


def test_four_hosts_are_looked_at_at_a_time_and_each_has_its_turn(hosts, lookout):
    several = [lease(number) for number in range(1, 7)]
    for one in several:
        lookout.watch(one)
    hosts.after_seconds(3.0)
    hosts.serve_until(lambda: len(hosts.sent(PassMode.LOOK)) == 4)
    hosts.after_seconds(20.0)
    assert hosts.watched == 4
    first = {host for dummy, host in hosts.sent(PassMode.LOOK)}
    assert first == {"web1", "web2", "web3", "web4"}
    hosts.looks = {one.host: confirmed() for one in several}
    lookout.forget(several[0].lease)
    hosts.after_seconds(1.0)
    hosts.serve_until(lambda: len(hosts.sent(PassMode.LOOK)) == 5 and hosts.watched == 3)
    assert hosts.sent(PassMode.LOOK)[4][1] == "web5"
    hosts.after_seconds(1.0)
    hosts.serve_until(lambda: len(hosts.sent(PassMode.LOOK)) == 6 and hosts.watched == 3)
    assert hosts.sent(PassMode.LOOK)[5][1] == "web6"
    for one in several:
        lookout.forget(one.lease)


def test_a_look_that_is_not_wanted_any_more_is_ended(hosts, lookout, changes):
    one = lease()
    lookout.watch(one)
    hosts.after_seconds(1.0)
    hosts.serve_until(lambda: hosts.sent(PassMode.LOOK))
    [(pid, dummy)] = hosts.sent(PassMode.LOOK)
    assert is_there(pid)
    lookout.forget(one.lease)
    ends(hosts, pid)
    assert changes == []


def test_a_look_that_no_process_can_be_had_for_is_tried_again(hosts, lookout, monkeypatch):
    def refuse() -> int:
        raise OSError(11, "Resource temporarily unavailable")

    one = lease()
    hosts.looks["web1"] = confirmed("dpkg")
    lookout.watch(one)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fork", refuse)
        hosts.after_seconds(1.0)
    assert hosts.sent(PassMode.LOOK) == []
    look(hosts, 1)
    assert lookout.is_finishing(one.lease)
    lookout.forget(one.lease)


@pytest.mark.parametrize(("reason", "seconds"), [(False, 30.0), (True, 45.0)])
def test_a_courier_gets_more_time_for_as_long_as_there_is_a_reason(hosts, reason, seconds):
    ended: list[LeaseResult] = []
    began = hosts.now
    Courier(
        lease(),
        hosts,
        lambda dummy, result: ended.append(result),
        has_reason=lambda: reason and hosts.now - began < 42.0,
    )
    hosts.serve_until(lambda: hosts.sent(PassMode.END))
    [(pid, dummy)] = hosts.sent(PassMode.END)
    hosts.after_seconds(seconds - 0.5)
    assert (ended, is_there(pid)) == ([], True)
    hosts.after_seconds(0.5)
    assert ended == [LeaseResult(Outcome.UNREACHABLE, f"no answer within {seconds:.0f} s")]
    ends(hosts, pid)


@pytest.mark.parametrize("finishes", [True, False])
def test_an_order_whose_host_finishes_a_transaction_is_not_given_up(hosts, finishes):
    """The control: without a transaction its courier is ended after 30 s."""
    one, leases = lease(), LeaseTable()
    assert leases.grant(one)
    assert leases.broken(one.lease, 0)
    hosts.looks["web1"] = confirmed("dpkg") if finishes else confirmed()
    told: list[int] = []
    dispatcher = Dispatcher(
        leases, hosts, lambda dummy: None, lambda: told.append(len(dispatcher.finishing))
    )
    dispatcher.give_order(one)
    hosts.serve_until(lambda: hosts.sent(PassMode.END))
    for number in range(1, 8):
        hosts.after_seconds(4.2)
        hosts.serve_until(
            lambda number=number: len(hosts.sent(PassMode.LOOK)) == number and hosts.watched == 1
        )
    hosts.after_seconds(3.0)
    assert dispatcher.untried == finishes
    assert told == ([1] * 7 if finishes else [])
    if finishes:
        hosts.hurried["web1"] = confirmed("dpkg")
        dispatcher.skip_grace()
        hosts.serve_until(lambda: not hosts.watched)
        hosts.after_seconds(60.0)
        assert (dispatcher.untried, dispatcher.finishing) == (0, ())
