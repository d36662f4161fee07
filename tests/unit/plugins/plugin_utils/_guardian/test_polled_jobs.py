# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A job of `poll: 0` at the run's end.

It is left alone, unless a task of that run waits for it at that moment.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from ..stepped_guardian import Peer, SteppedGuardian

TERMS = {
    "run": "00000000000000aa",
    "timeout": 0.0,
    "retry_for": 0.0,
    "keep": False,
    "end_async": False,
    "local": True,
    "cut": False,
    "supervised": False,
    "transfer": False,
}
JOB, POLL = "00000001", "00000002"


@pytest.fixture
def guardian() -> Iterator[SteppedGuardian]:
    running = SteppedGuardian()
    try:
        yield running
    finally:
        for courier in running.couriers:
            running.answer(courier, {"outcome": "failed", "reason": "a test", "report": None})
        running.main.die()
        running.close()


def take(guardian: SteppedGuardian, peer: Peer, lease: str, host: str, **terms: str) -> None:
    peer.send(
        {
            "op": "take",
            "lease": lease,
            "host": host,
            "task": "a task",
            "order": "",
            "reach": "",
            "terms": {**TERMS, **terms},
        }
    )
    guardian.loop.settle()


@pytest.fixture
def poller(guardian: SteppedGuardian) -> Iterator[Peer]:
    """Another worker; the worker that has started the job is gone."""
    starter, other = guardian.new_peer(), guardian.new_peer()
    take(guardian, starter, JOB, "web1", job="j12")
    starter.send({"op": "detach", "lease": JOB})
    guardian.loop.settle()
    starter.die()
    guardian.loop.settle()
    yield other
    if not other.gone:
        other.die()
        guardian.loop.settle()


def is_ended(guardian: SteppedGuardian) -> bool:
    """Whether the job is ended by a signal that comes now."""
    guardian.signal(signal.SIGINT)
    return [courier.lease for courier in guardian.couriers] == [JOB]


def poll(guardian: SteppedGuardian, peer: Peer, job: str, host: str = "web1") -> None:
    take(guardian, peer, POLL, host, polls=job)
    peer.send({"op": "done", "lease": POLL})
    guardian.loop.settle()


def test_between_two_polls_it_is_in_flight(guardian, poller):
    poll(guardian, poller, "j12.345")
    assert is_ended(guardian)


def test_a_file_on_its_way_is_no_end_of_the_polling(guardian, poller):
    poll(guardian, poller, "j12.345")
    take(guardian, poller, "00000003", "web1", transfer=True)
    poller.send({"op": "done", "lease": "00000003"})
    guardian.loop.settle()
    assert is_ended(guardian)


def test_without_a_poll_it_is_left_alone(guardian, poller):
    assert not is_ended(guardian)


def test_when_the_task_that_polls_has_ended_it_is_left_alone(guardian, poller):
    poll(guardian, poller, "j12.345")
    poller.die()
    guardian.loop.settle()
    assert not is_ended(guardian)


@pytest.mark.parametrize(
    ("job", "host"), [("j1.2", "web1"), ("j123.4", "web1"), ("j12.345", "web2"), ("", "web1")]
)
def test_a_poll_for_another_job_or_on_another_host_says_nothing(guardian, poller, job, host):
    poll(guardian, poller, job, host)
    assert not is_ended(guardian)
