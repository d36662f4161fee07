# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kill orders for many hosts, with fewer descriptors than couriers would need.

Guardian and couriers are real, and the hosts are made up. `python -m tools.bench.many` does the
same with 1,000 hosts.
"""

from __future__ import annotations

import pytest

from tests.support.run.made_up_run import Seen, measured

from ..run_factory import PLACES

HOSTS = [f"host{number}" for number in range(44)]
#: They do not answer, and hold their couriers until these are ended.
HANGING = [f"hanging{number}" for number in range(4)]

#: Soft and hard limit. The guardian has a connection for each host, and some descriptors more.
DESCRIPTORS = 80


@pytest.fixture(scope="module")
def seen() -> Seen:
    return measured(
        [*HANGING, *HOSTS],
        PLACES,
        lost=HANGING,
        descriptors=(DESCRIPTORS, DESCRIPTORS),
        grace=0.0,
    )


def test_an_order_waits_for_a_descriptor_and_does_not_fail(seen):
    assert seen.guardian_descriptors <= DESCRIPTORS
    assert {seen.outcomes[host] for host in HOSTS} == {"confirmed"}
    assert {seen.reasons[host] for host in HANGING} == {"no answer within 30 s"}


def test_a_host_that_hangs_holds_up_no_other(seen):
    """The orders of all others are out long before the couriers of the first four are ended."""
    assert max(seen.orders[host] for host in HOSTS) < 25
    assert 25 < seen.report < 60


def test_a_run_that_goes_on_gets_its_leases_while_hosts_are_lost(seen):
    """Without an answer within three seconds, a worker sends its command without a lease."""
    assert 0 < seen.answer < 3


def test_the_main_process_hears_of_the_guardian_all_the_time(seen):
    """A second passes between two messages, and more on a busy machine."""
    assert seen.silence < 5
