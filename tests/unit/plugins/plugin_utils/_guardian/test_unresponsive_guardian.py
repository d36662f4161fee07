# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guardian that reads late, or whose peers read late.

No process of a run that goes on is ended, and nothing waits for a stopped process.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian import (
    connections,
    guardian_process,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.event_loop import Loop
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import (
    ProcessWatch,
    identify,
    is_alive,
)

from ..stepped_guardian import Peer
from .test_server import TERMS


def take(lease: str, **more: Any) -> dict[str, Any]:
    terms = {**TERMS, "keep": False, **more.pop("terms", {})}
    return {
        "op": "take",
        "lease": lease,
        "host": "web1",
        "task": "t",
        "order": '{"secret": 1}',
        "reach": "{}",
        "terms": terms,
        **more,
    }


def test_a_request_that_is_read_too_late_is_refused_and_the_end_of_its_worker_ends_nothing(stepped):
    worker = stepped.new_worker()
    worker.send(take("00000001", deadline=stepped.loop.now + 3.0, number=1))
    stepped.loop.now += 14.0  # it was stopped
    stepped.loop.settle()
    (answer,) = worker.read()
    assert (answer["granted"], answer["late"], answer["number"]) == (False, True, 1)
    worker.die()
    worker.pid = 0
    stepped.loop.settle()
    assert stepped.couriers == []
    assert stepped.guardian._leases.unclosed == []


def test_the_control_a_request_in_time_is_granted_and_the_end_of_its_worker_breaks_the_lease(
    stepped,
):
    worker = stepped.new_worker()
    worker.send(take("00000001", deadline=stepped.loop.now + 3.0, number=1))
    stepped.loop.settle()
    assert worker.read()[0]["granted"]
    worker.die()
    worker.pid = 0
    stepped.loop.settle()
    assert [sent.lease for sent in stepped.couriers] == ["00000001"]


def test_what_is_granted_at_the_last_moment_and_given_back_is_not_ended(stepped):
    worker = stepped.new_worker()
    worker.send(take("00000001", deadline=stepped.loop.now + 3.0))
    worker.send({"op": "done", "lease": "00000001"})
    worker.hang_up()
    stepped.loop.settle()
    assert stepped.couriers == []


def test_what_a_worker_said_before_it_hung_up_counts_although_an_answer_to_it_can_not_be_sent(
    stepped,
):
    worker = stepped.new_worker()
    worker.send(take("00000001"))
    stepped.loop.settle()
    assert worker.read()[0]["granted"]
    # It did not wait for the second answer, and the command of the first lease has returned.
    worker.send(take("00000002", deadline=stepped.loop.now - 1.0, number=2))
    worker.send({"op": "done", "lease": "00000001"})
    worker.hang_up()
    stepped.loop.settle()
    assert stepped.couriers == []
    assert stepped.guardian._leases.opened == []


def test_a_guardian_that_reads_says_so_to_workers_that_do_not_ask_it_any_more(stepped):
    page = stepped.guardian._page
    page.ask_again_at = 1e9
    worker = stepped.new_worker()
    worker.send(take("00000001", deadline=stepped.loop.now - 1.0))
    stepped.loop.settle()
    assert page.ask_again_at == 0.0


def test_all_workers_see_that_the_gate_is_closed_without_asking(stepped):
    assert not stepped.guardian._page.gate_closed
    stepped.signal(signal.SIGINT)
    assert stepped.guardian._page.gate_closed


def test_the_end_of_a_run_that_is_read_late_is_not_taken_for_its_interruption(stepped):
    """Before the guardian reads, the main process has asked for its report over a new connection.

    It was not answered, and has ended.
    """
    worker = stepped.new_worker()
    worker.send(take("00000001", terms={"end_async": True}))
    worker.send({"op": "detach", "lease": "00000001"})
    stepped.loop.settle()
    worker.die()
    worker.pid = 0
    # In the first look the end of the process is seen beside the message, whichever comes first.
    watch = stepped.guardian._watches[0]
    stepped.main.send({"op": "report", "wait": True})
    watch._ended()
    stepped.loop.settle()
    assert not stepped.is_interrupted
    assert stepped.couriers == []


def test_a_main_process_that_stands_still_gets_its_whole_report_later_and_holds_up_no_worker(
    stepped,
):
    """Ctrl-Z, while the report is larger than what a socket holds."""
    reader = stepped.new_worker()
    stepped.guardian._reporter.note_unguarded("web1", "a connection", "x" * 3_000_000)
    began = time.monotonic()
    stepped.main.send({"op": "report", "wait": False})
    stepped.loop.poll()
    stepped.loop.poll()
    reader.send(take("00000001"))
    stepped.loop.poll()
    stepped.loop.poll()
    assert reader.read()[0]["granted"]
    assert time.monotonic() - began < 4, "the guardian has waited for its main process"
    messages: list[Any] = []
    while not messages and time.monotonic() - began < 60:
        messages = stepped.main.read()
        stepped.loop.poll()
    assert len(messages[0]["report"]["unguarded"][0]["reason"]) == 3_000_000


# No descriptors.


def in_a_child(answer: Callable[[], bool]) -> bool:
    """Run it in a process that can't open a descriptor."""
    child = os.fork()
    if child == 0:
        status = 2
        try:
            resource.setrlimit(
                resource.RLIMIT_NOFILE, (0, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
            )
            status = 0 if answer() else 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_process_that_can_not_be_looked_at_for_want_of_descriptors_is_not_taken_for_dead():
    main = identify(os.getpid())
    assert in_a_child(lambda: is_alive(main))
    assert in_a_child(lambda: not is_alive(ProcessId(2**22 + 1, 7)))


def test_the_end_of_a_main_process_is_not_announced_for_want_of_descriptors():
    main = identify(os.getpid())
    loop, gone = Loop(), []

    def nothing_is_announced() -> bool:
        ProcessWatch(loop, main, lambda: gone.append(1))
        return not gone

    assert in_a_child(nothing_is_announced)


def test_a_limit_above_what_the_system_allows_is_no_reason_to_have_no_guardian(monkeypatch):
    """So it is if fs.nr_open was lowered after login.

    The system then refuses the very limit that is in force.
    """
    asked: list[Any] = []

    def refuse(what: int, limits: tuple[int, int]) -> None:
        asked.append(limits)
        if limits[0] > int(Path("/proc/sys/fs/nr_open").read_text()):
            raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(guardian_process.resource, "getrlimit", lambda what: (1024, 1 << 40))
    monkeypatch.setattr(guardian_process.resource, "setrlimit", refuse)
    guardian_process._raise_descriptor_limit()
    assert asked[-1][0] == int(Path("/proc/sys/fs/nr_open").read_text())


def test_connections_leave_descriptors_for_the_guardians_own_work(monkeypatch):
    monkeypatch.setattr(connections.resource, "getrlimit", lambda what: (256, 256))
    assert connections._leaves_room(190)
    assert not connections._leaves_room(192)
    monkeypatch.setattr(
        connections.resource,
        "getrlimit",
        lambda what: (resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    )
    assert connections._leaves_room(1 << 20)


def test_a_connection_for_which_there_is_no_descriptor_does_not_keep_the_guardian_busy(stepped):
    """It is accepted when there is room again."""
    looks = []
    refused = OSError(24, "Too many open files")
    connected, listener = stepped.guardian._connections, stepped.guardian._connections._listener

    class Full:
        def fileno(self) -> int:
            return listener.fileno()

        def accept(self) -> Any:
            looks.append(1)
            raise refused

    connected._listener = Full()
    worker = Peer(stepped.path)
    stepped.peers.append(worker)
    for dummy in range(20):
        stepped.loop.poll()
    assert len(looks) == 1
    connected._listener = listener
    worker.send(take("00000001"))
    stepped.after(1.0)
    assert worker.read()[0]["granted"]
