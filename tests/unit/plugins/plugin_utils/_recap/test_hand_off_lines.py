# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of a recap about what may go on elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.treekill.remote.plugins.plugin_utils._recap.hand_off_lines import (
    elsewhere_lines,
)

from ..report_factories import make_hand_off, make_report, make_result, make_run_report

HEADING = (
    "May go on elsewhere: the tasks had asked others for it,"
    " and nothing here has checked that it ended."
)


def lines(found: dict[str, Sequence[dict[str, Any]]], verbosity: int = 0) -> list[str]:
    """Return the lines about what each host has."""
    results = [make_result(host, report=make_report(elsewhere=[*of])) for host, of in found.items()]
    return [line.text for line in elsewhere_lines(make_run_report(results).results, verbosity)]


def test_each_hand_off_has_a_line_with_the_command_to_look() -> None:
    assert lines({"web1": [make_hand_off()]}) == [
        "",
        HEADING,
        "  web1 : a unit of systemd: a; look: systemctl status a",
    ]


def test_what_only_a_text_names_may_not_have_begun() -> None:
    assert lines({"web1": [make_hand_off(kind="queue", what="a job of at", look="", seen=False)]})[
        2:
    ] == ["  web1 : a queue, if it had begun: a job of at"]


def test_hosts_with_the_same_hand_off_share_a_line() -> None:
    found = lines({"web2": [make_hand_off()], "web1": [make_hand_off()]})
    assert found[2:] == ["  web[1-2] (2 hosts) : a unit of systemd: a; look: systemctl status a"]


def test_a_container_that_was_stopped_may_not_go_on() -> None:
    """Alone, it has no heading that says so."""
    one = make_hand_off(kind="container", program="docker", what="docker run a", state="stopped")
    assert lines({"web1": [one]}) == [
        "",
        "  web1 : stopped a container by docker stop: docker run a",
    ]
    assert lines({"web1": [one, make_hand_off()]})[1] == HEADING


def test_many_lines_are_shown_only_with_v() -> None:
    found = {"web1": [make_hand_off(what=f"a{number}") for number in range(30)]}
    assert lines(found)[-1] == "  and 10 more; -v names all"
    assert len(lines(found, verbosity=1)) == 32


def test_the_log_names_only_programs() -> None:
    """Other users can read that file."""
    results = make_run_report(
        [make_result(report=make_report(elsewhere=[make_hand_off()]))]
    ).results
    logs = [line.text if line.log is None else line.log for line in elsewhere_lines(results, 0)]
    assert logs[2] == "  web1 : a unit of systemd: systemctl"


def test_without_hand_offs_there_is_no_line() -> None:
    assert lines({"web1": []}) == []
