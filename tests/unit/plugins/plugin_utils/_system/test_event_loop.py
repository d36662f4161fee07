# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The loop: what is ready is called, and what is due is called in its order.

What was cancelled is not called.
"""

from __future__ import annotations

import os
import time

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop


@pytest.fixture
def pipes():
    made = [os.pipe() for dummy in range(2)]
    yield made
    for reader, writer in made:
        os.close(reader)
        os.close(writer)


def run_until(loop: Loop, there) -> None:
    deadline = time.monotonic() + 10
    loop.run_while(lambda: not there() and time.monotonic() < deadline)
    assert there()


def test_timers_fire_in_the_order_in_which_they_are_due():
    loop, fired = Loop(), []
    for seconds in (0.02, 0.0, 0.01, 0.0):
        loop.after(seconds, lambda seconds=seconds: fired.append(seconds))
    run_until(loop, lambda: len(fired) == 4)
    assert fired == [0.0, 0.0, 0.01, 0.02]


def test_a_timer_is_not_early():
    loop, fired = Loop(), []
    due = time.monotonic() + 0.03
    loop.after(0.03, lambda: fired.append(time.monotonic()))
    run_until(loop, lambda: fired)
    assert fired[0] >= due


def test_a_cancelled_timer_does_not_fire_also_when_one_before_it_cancels_it():
    loop, fired = Loop(), []
    timers = []
    loop.after(0.0, lambda: [timer.cancel() for timer in timers])
    timers.append(loop.after(0.0, lambda: fired.append("cancelled")))
    loop.after(0.01, lambda: fired.append("last"))
    run_until(loop, lambda: fired)
    assert fired == ["last"]


def test_a_timer_may_set_another():
    loop, fired = Loop(), []
    loop.after(0.0, lambda: loop.after(0.0, lambda: fired.append("second")))
    run_until(loop, lambda: fired)


def test_a_descriptor_is_served_while_there_is_something_to_read(pipes):
    loop, read = Loop(), []
    (reader, writer), dummy = pipes
    loop.watch(reader, lambda: read.append(os.read(reader, 1)))
    os.write(writer, b"abc")
    run_until(loop, lambda: len(read) == 3)
    assert read == [b"a", b"b", b"c"]


def test_a_descriptor_that_is_no_longer_watched_is_not_served_in_the_same_round_either(pipes):
    loop, served = Loop(), []

    def serve(mine: int, other: int) -> None:
        served.append(mine)
        os.read(mine, 1)
        loop.unwatch(other)

    (one, one_end), (two, two_end) = pipes
    loop.watch(one, lambda: serve(one, two))
    loop.watch(two, lambda: serve(two, one))
    os.write(one_end, b"x")
    os.write(two_end, b"x")
    loop.poll()
    assert len(served) == 1


def test_poll_serves_what_is_there_without_waiting_and_without_timers(pipes):
    loop, served = Loop(), []
    (reader, writer), dummy = pipes
    loop.watch(reader, lambda: served.append(os.read(reader, 1)))
    loop.after(0.0, lambda: served.append("timer"))
    loop.poll()
    assert served == []
    os.write(writer, b"x")
    loop.poll()
    assert served == [b"x"]


def test_the_loop_ends_when_nothing_needs_it(pipes):
    loop, rounds = Loop(), []
    (reader, writer), dummy = pipes
    os.write(writer, b"x")
    loop.watch(reader, lambda: rounds.append(1))
    loop.run_while(lambda: len(rounds) < 3)
    assert len(rounds) == 3
