# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate of a run that goes on to its `always` sections after an interruption."""

from __future__ import annotations

import signal
from typing import Any

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_page import Gate

from ..lease_factories import make_request
from ..report_factories import make_process, make_report
from ..stepped_guardian import Peer

#: Seconds, longer than those in which an equal signal is an echo.
LATER = 1.0


def take(stepped: Any, peer: Peer, lease: str, always: bool = False, host: str = "web1") -> bool:
    """Whether the lease is granted."""
    asked = {**make_request(lease).to_message(), "host": host, "always": always}
    peer.send({"op": "take", "number": 1, **asked})
    stepped.loop.settle()
    (answer,) = peer.read()
    return bool(answer["granted"])


def interrupt(stepped: Any, always: bool = True) -> None:
    if always:
        stepped.guardian._page.run_always(signal.SIGINT)
    stepped.signal(signal.SIGINT)
    stepped.main.others[0].recv(16)


def ask(stepped: Any) -> list[dict[str, Any]]:
    """Return the answers that the main process has by now."""
    stepped.main.send({"op": "always", "number": 1})
    stepped.loop.settle()
    return list(stepped.main.read())


def confirm(stepped: Any, **more: Any) -> None:
    for sent in stepped.couriers:
        stepped.answer(sent, {"outcome": "confirmed", "reason": "", "report": make_report(**more)})


def gate(stepped: Any) -> Gate:
    return Gate(stepped.guardian._page.gate)


def test_the_gate_opens_for_tasks_of_sections_alone_when_each_tree_is_gone(stepped):
    first = stepped.new_worker()
    assert take(stepped, first, "00000001")
    interrupt(stepped)
    assert gate(stepped) is Gate.CLOSED
    assert ask(stepped) == []
    other = stepped.new_worker()
    assert not take(stepped, other, "00000002", always=True)
    confirm(stepped)
    (answer,) = stepped.main.read()
    assert (answer["granted"], answer["unconfirmed"], answer["number"]) == (True, [], 1)
    assert gate(stepped) is Gate.ALWAYS
    assert not take(stepped, other, "00000003")
    assert take(stepped, other, "00000004", always=True)


def test_without_the_option_it_never_opens(stepped):
    """The control."""
    assert take(stepped, stepped.new_worker(), "00000001")
    interrupt(stepped, always=False)
    confirm(stepped)
    (answer,) = ask(stepped)
    assert not answer["granted"]
    assert gate(stepped) is Gate.CLOSED
    assert not take(stepped, stepped.new_worker(), "00000002", always=True)


def test_a_tree_that_is_not_known_to_be_gone_is_named_with_its_worker(stepped):
    workers = [stepped.new_worker() for dummy in range(3)]
    for number, peer in enumerate(workers):
        assert take(stepped, peer, f"0000000{number}", host=f"web{number}")
    interrupt(stepped)
    assert ask(stepped) == []
    survives, fails, gone = sorted(stepped.couriers, key=lambda sent: sent.lease)
    alive = make_process(7, ended=None, reason="not permitted")
    stepped.answer(
        survives,
        {"outcome": "confirmed", "reason": "", "report": make_report(survivors=[alive])},
    )
    stepped.answer(fails, {"outcome": "failed", "reason": "no\nanswer", "report": None})
    assert stepped.main.read() == []
    stepped.answer(gone, {"outcome": "confirmed", "reason": "", "report": make_report()})
    (answer,) = stepped.main.read()
    rows = {row["worker"]: (row["host"], row["reason"]) for row in answer["unconfirmed"]}
    assert rows == {
        workers[0].pid: ("web0", "1 process of its task has survived"),
        workers[1].pid: ("web1", "the end of its task is not confirmed (no answer)"),
    }


def test_a_second_signal_ends_the_tasks_of_sections(stepped):
    assert take(stepped, stepped.new_worker(), "00000001")
    interrupt(stepped)
    confirm(stepped)
    assert ask(stepped)[0]["granted"]
    assert take(stepped, stepped.new_worker(), "00000002", always=True)
    assert stepped.couriers == []
    stepped.after(LATER)
    stepped.signal(signal.SIGINT)
    assert [sent.lease for sent in stepped.couriers] == ["00000002"]
    assert gate(stepped) is Gate.CLOSED
    assert not take(stepped, stepped.new_worker(), "00000003", always=True)


def test_a_second_signal_before_the_gate_opens_leaves_the_sections_out(stepped):
    assert take(stepped, stepped.new_worker(), "00000001")
    interrupt(stepped)
    assert ask(stepped) == []
    stepped.after(LATER)
    stepped.signal(signal.SIGINT)
    assert not stepped.main.read()[0]["granted"]
    assert any(sent.at_once for sent in stepped.couriers)
    confirm(stepped)
    assert gate(stepped) is Gate.CLOSED


def test_the_end_of_the_main_process_ends_the_tasks_of_sections(stepped):
    assert take(stepped, stepped.new_worker(), "00000001")
    interrupt(stepped)
    confirm(stepped)
    assert ask(stepped)[0]["granted"]
    assert take(stepped, stepped.new_worker(), "00000002", always=True)
    stepped.guardian._main_gone()
    stepped.loop.settle()
    assert [sent.lease for sent in stepped.couriers] == ["00000002"]
    assert gate(stepped) is Gate.CLOSED
    stepped.guardian._main = None


def test_the_report_of_the_main_process_has_what_became_of_the_sections(stepped):
    assert take(stepped, stepped.new_worker(), "00000001")
    interrupt(stepped)
    confirm(stepped)
    assert ask(stepped)[0]["granted"]
    rows = [{"host": "web1", "state": "ran", "reason": ""}]
    stepped.main.send({"op": "report", "wait": False, "always": rows})
    stepped.loop.settle()
    (answer,) = stepped.main.read()
    assert answer["report"]["always"] == rows
    assert answer["report"]["cause"] == "SIGINT"
