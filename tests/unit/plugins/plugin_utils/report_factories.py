# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Made-up kill reports, as a host may send them and the guardian passes them on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import KillReport
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import RunReport
from hypothesis import strategies as st

#: Possible names of a process: control characters, half surrogates of undecodable bytes, other
#: scripts.
HOSTILE = st.text(
    st.characters() | st.sampled_from("\n\r\t\x1b\x07\x7f\x9b\u2028\u202e\udcff"), max_size=90
)

NAMES = st.text("abcdefgh-.0123456789", min_size=1, max_size=12)


def make_process(pid: int, start: int = 1, **more: Any) -> dict[str, Any]:
    """One process of a report."""
    return {
        "pid": pid,
        "start": start,
        "ppid": 1,
        "user": "u",
        "command": "c",
        "role": "child",
        "ended": "TERM",
        "seconds": 0.1,
        "reason": "",
        **more,
    }


def make_report(**more: Any) -> dict[str, Any]:
    """Return a report of a host where nothing was."""
    return {
        "method": "proc",
        "root": None,
        "gone": [],
        "survivors": [],
        "spared": [],
        "unreadable": 0,
        "escalated": False,
        "supervised": False,
        "seconds": 0.25,
        **more,
    }


def make_kill_report(**more: Any) -> KillReport:
    """Such a report as the guardian has it."""
    return KillReport.from_message(make_report(**more))


def make_hand_off(**more: Any) -> dict[str, Any]:
    """Return what a task has handed to others."""
    return {
        "kind": "unit",
        "program": "systemctl",
        "what": "a",
        "look": "systemctl status a",
        "seen": True,
        "state": "left",
        **more,
    }


def make_result(host: str = "web1", **more: Any) -> dict[str, Any]:
    """Return the result of one lease, as the guardian reports it."""
    return {
        "host": host,
        "task": "Dump",
        "lease": "00000001",
        "outcome": "confirmed",
        "reason": "",
        "report": None,
        "retry_for": 60.0,
        "payload": False,
        **more,
    }


def make_run_report(
    results: Sequence[dict[str, Any]] = (),
    cause: str = "SIGINT",
    unguarded: Sequence[dict[str, str]] = (),
) -> RunReport:
    """Return the report that the main process has of a guardian with these results."""
    message = {
        "run": "0123456789abcdef",
        "cause": cause,
        "guardian": 1,
        "results": [*results],
        "unguarded": [*unguarded],
        "warnings": [],
        "after_kill": None,
    }
    return RunReport.from_message(message)


def processes(*endings: str | None) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return some processes that ended in one of these ways, no two of them equal."""
    one = st.builds(
        make_process,
        st.integers(2, 30),
        st.integers(1, 3),
        command=HOSTILE,
        user=HOSTILE,
        reason=HOSTILE,
        ended=st.sampled_from(endings),
    )
    return st.lists(one, max_size=6, unique_by=lambda row: (row["pid"], row["start"]))


REPORTS = st.builds(
    make_report,
    gone=processes("TERM", "KILL", "exited", None),
    survivors=processes(None),
    spared=processes(None),
    seconds=st.floats(0, 100),
    root=st.none() | st.just([5, 4]),
    unreadable=st.integers(0, 3),
    escalated=st.booleans(),
    elsewhere=st.lists(
        st.builds(
            make_hand_off,
            kind=st.sampled_from(["container", "host", "unit", "queue", "terminal"]),
            program=NAMES,
            what=HOSTILE,
            look=HOSTILE,
            seen=st.booleans(),
            state=st.sampled_from(["left", "stopped"]),
        ),
        max_size=3,
    ),
)

KILL_REPORTS = REPORTS.map(KillReport.from_message)

OUTCOMES = st.sampled_from(["confirmed", "unreachable", "failed", "left", "trying", "under way"])

RESULTS = st.lists(
    st.builds(
        make_result,
        NAMES,
        task=HOSTILE,
        reason=HOSTILE,
        outcome=OUTCOMES,
        report=st.none() | REPORTS,
    ),
    max_size=5,
)
