# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A short command without a job has no pulse. Here, no process that keeps one can do its work."""

from __future__ import annotations

import json
import os
import time

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import resolve
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import KillOrderTerms
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import RunPage
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order import pulses as module
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.pulses import Pulses
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.table import Lease
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop

from ..lease_factories import make_terms

#: The reach of the lease names no connection, so each process ends at once.
REASON = (
    "treekill.remote: what runs on web1 is NOT PROTECTED when the controller is gone:"
    " the process that keeps its pulse was killed"
)


#: A supervisor is not heard of, and may be connected to the pulse of an earlier guardian.
MISSED = (
    "treekill.remote: what runs on web1 is NOT PROTECTED when the controller is gone:"
    " no supervisor is connected to the pulse there"
)


@pytest.fixture
def pulses():
    return Pulses(Loop(), ProcessId(os.getpid(), b"0"), RunPage())


def hold(pulses, lease, *, starts_job):
    terms = make_terms(pulse=True, starts_job=starts_job)
    order = KillOrderTerms("0123456789abcdef", lease, resolve(None, {}), (), False, False, True)
    text = json.dumps(order.to_message())
    pulses.hold(Lease(lease, 1, "web1", "a task", terms, text, "{}"))


def told_within(pulses, seconds):
    """Return what the user is told within this time."""
    told, until = (), time.monotonic() + seconds
    pulses.loop.after(seconds, lambda: None)
    while not told and time.monotonic() < until:
        pulses.loop.after(0.01, lambda: None)
        turns = iter([True])
        pulses.loop.run_while(lambda turns=turns: next(turns, False))
        told = pulses.take_unreported()
    return told


def test_a_command_has_one_when_it_takes_a_while(pulses, monkeypatch):
    monkeypatch.setattr(module, "_SHORT_SECONDS", 0.3)
    began = time.monotonic()
    hold(pulses, "00000001", starts_job=False)
    assert told_within(pulses, 20) == (REASON,)
    assert time.monotonic() - began >= 0.3


def test_a_command_that_is_done_before_has_none(pulses, monkeypatch):
    monkeypatch.setattr(module, "_SHORT_SECONDS", 0.3)
    hold(pulses, "00000001", starts_job=False)
    pulses.release_done("00000001")
    assert told_within(pulses, 1) == ()
    assert not pulses.held


def test_a_job_has_one_at_once(pulses, monkeypatch):
    monkeypatch.setattr(module, "_SHORT_SECONDS", 60.0)
    hold(pulses, "00000001", starts_job=False)
    hold(pulses, "00000002", starts_job=True)
    assert told_within(pulses, 20) == (REASON,)


def test_a_host_whose_connection_may_not_end_is_told_of_once(pulses):
    for _again in range(2):
        pulses.tell_unseen_end("web1", "community.general.saltstack")
    (told,) = pulses.take_unreported()
    assert "web1 is NOT PROTECTED when the controller is gone" in told
    assert "community.general.saltstack" in told
    assert pulses.take_unreported() == ()


@pytest.mark.parametrize(("earlier", "told"), [(False, (MISSED,)), (True, ())])
def test_a_supervisor_is_missed_only_if_no_earlier_guardian_may_have_it(monkeypatch, earlier, told):
    monkeypatch.setattr(module, "_SHORT_SECONDS", 60.0)
    monkeypatch.setattr(module, "_ATTACH_SECONDS", 0.2)
    page = RunPage()
    if earlier:
        page.note_pulse()
    pulses = Pulses(Loop(), ProcessId(os.getpid(), b"0"), page)
    hold(pulses, "00000001", starts_job=False)
    assert told_within(pulses, 20 if told else 1) == told


def test_a_guardian_after_one_with_pulses_knows_of_them(pulses):
    hold(pulses, "00000001", starts_job=True)
    assert told_within(pulses, 20) == (REASON,)
    assert Pulses(Loop(), pulses.main, pulses.page).earlier
