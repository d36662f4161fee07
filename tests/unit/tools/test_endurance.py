# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""The rounds of `make endurance` are drawn from their seed alone."""

from __future__ import annotations

from collections import Counter

from tools.endurance.draw import BEFALLEN, LOST_HOST, RUNS, draw
from tools.endurance.triggers import TRIGGERS

CORES = ("2.16", "2.21")


def test_a_round_is_drawn_again_from_its_seed_and_number():
    assert draw(7, 3, CORES) == draw(7, 3, CORES)
    assert draw(7, 3, CORES) != draw(7, 4, CORES)
    assert draw(7, 3, CORES) != draw(8, 3, CORES)


def test_every_trigger_is_drawn_about_as_often():
    triggers = Counter(
        one.trigger for number in range(400) for one in draw(1, number, CORES) if one.trigger
    )
    assert sum(triggers.values()) == 400 * BEFALLEN
    assert {*triggers} == {*TRIGGERS}
    # Those that need a host of their own come once in a round at most.
    assert min(triggers.values()) > 400 * BEFALLEN / len(TRIGGERS) / 3


def test_a_run_that_loses_its_host_is_alone_there():
    for number in range(400):
        drawn = draw(2, number, CORES)
        assert len(drawn) == RUNS
        there = [one for one in drawn if LOST_HOST in one.hosts]
        assert len(there) <= 1
        assert all(TRIGGERS[one.trigger].host for one in there)


def test_one_run_of_a_round_installs_the_package_on_a_host():
    for number in range(400):
        hosts = [
            host
            for one in draw(3, number, CORES)
            for step in one.steps
            if step.kind == "package"
            for host in one.hosts
        ]
        assert len(hosts) == len({*hosts})
