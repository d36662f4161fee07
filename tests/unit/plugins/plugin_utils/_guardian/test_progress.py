# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The messages for a main process that waits for the report.

They come each second, and not for each of many orders.
"""

from __future__ import annotations

import signal

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import (
    ReportRequest,
    request_frame,
)

from ..lease_factories import make_request
from ..stepped_guardian import SteppedGuardian

LEASES = [f"{number:08x}" for number in range(1, 8)]


def _await_report(stepped: SteppedGuardian) -> None:
    """Interrupt a run with so many leases, and let its main process wait for the report."""
    peer = stepped.new_worker()
    for lease in LEASES:
        peer.send(request_frame(make_request(lease, timeout=2.0)))
    stepped.loop.settle()
    stepped.signal(signal.SIGINT)
    stepped.after(0.01)
    assert len(stepped.couriers) == len(LEASES)
    stepped.main.send(request_frame(ReportRequest(wait=True)))
    stepped.loop.settle()


def test_a_waiting_main_process_hears_of_the_guardian_each_second(stepped):
    _await_report(stepped)
    (first,) = stepped.main.read()
    assert first["untried"] == len(LEASES)
    left = []
    for dummy in range(5):
        stepped.after(1.0)
        (beat,) = stepped.main.read()
        left.append(beat["left"])
    assert left == sorted(left, reverse=True)
    assert left[0] > 0.0
    assert left[-1] == 0.0


def test_many_orders_that_end_at_once_are_one_message_and_the_last_one_brings_the_report(stepped):
    _await_report(stepped)
    stepped.main.read()
    *most, last = stepped.couriers
    for sent in most:
        stepped.answer(sent, b"")
    assert len(stepped.main.read()) <= 1
    stepped.after(0.1)
    (news,) = stepped.main.read()
    assert news["untried"] == 1
    stepped.answer(last, b"")
    (report,) = stepped.main.read()
    assert "report" in report
    stepped.after(10.0)
    assert stepped.main.read() == []
