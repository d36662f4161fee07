# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict: the last line counts each host once, under the worst that the recap says of it."""

from __future__ import annotations

import collections
import dataclasses
import re

import pytest
from ansible import context
from ansible.module_utils.common.collections import ImmutableDict
from ansible_collections.treekill.remote.plugins.plugin_utils._core.display import C
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import (
    AfterKillReport,
    AfterKillState,
    AlwaysOutcome,
    AlwaysState,
    HostEnding,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.in_flight import UnguardedTask
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.drawing import Screen
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.recap import Recap
from hypothesis import given
from hypothesis import strategies as st

from ..report_factories import (
    RESULTS,
    make_hand_off,
    make_process,
    make_report,
    make_result,
    make_run_report,
)

UNGUARDED = {"host": "web1", "connection": "network_cli", "reason": "no shell"}


@pytest.fixture(autouse=True)
def _command_line(monkeypatch):
    monkeypatch.setattr(context, "CLIARGS", ImmutableDict(inventory=("hosts",)))


def lines(results, tasks=(), screen=None, **more):
    return Recap(make_run_report(results, **more), True, screen, tasks=tasks).lines()


def verdict(results, **more) -> str:
    return lines(results, **more)[-1].text


def counts(text: str) -> tuple[int, dict[str, int]]:
    """Return the number of hosts of a verdict, and the number for each of its words."""
    matched = re.fullmatch(r"(\d+) hosts?: (.*)", text)
    assert matched, text
    parts = [part.split(" ", 1) for part in matched[2].split(", ")]
    return int(matched[1]), {words: int(number) for number, words in parts}


CLEAN = make_result(report=make_report(gone=[make_process(2)], supervised=True))


@pytest.mark.parametrize(
    ("results", "text", "color"),
    [
        ([CLEAN], "1 host: 1 ended clean", C.COLOR_OK),
        ([CLEAN, {**CLEAN, "host": "web2"}], "2 hosts: 2 ended clean", C.COLOR_OK),
        (
            [make_result(outcome="not begun"), {**CLEAN, "host": "web2"}],
            "2 hosts: 1 ended clean, 1 had nothing begun",
            C.COLOR_OK,
        ),
        ([make_result(outcome="broken off")], "1 host: 1 ended clean", C.COLOR_OK),
        ([make_result(outcome="left")], "1 host: 1 left something alone", C.COLOR_WARN),
        (
            [make_result(report=make_report(spared=[make_process(2)]))],
            "1 host: 1 left something alone",
            C.COLOR_WARN,
        ),
        (
            [make_result(report=make_report(gone=[make_process(2)]), payload=True)],
            "1 host: 1 ended as far as seen",
            C.COLOR_WARN,
        ),
        (
            [make_result(report=make_report(gone=[make_process(2)], method="shell"))],
            "1 host: 1 ended as far as seen",
            C.COLOR_WARN,
        ),
        (
            [make_result(report=make_report(elsewhere=[make_hand_off()]))],
            "1 host: 1 may go on elsewhere",
            C.COLOR_WARN,
        ),
        (
            [make_result(report=make_report(elsewhere=[make_hand_off(state="stopped")]))],
            "1 host: 1 ended clean",
            C.COLOR_OK,
        ),
        (
            [make_result(report=make_report(finishing=[make_process(2, transaction="finishing")]))],
            "1 host: 1 left to finish",
            C.COLOR_WARN,
        ),
        (
            [make_result(report=make_report(gone=[make_process(2, transaction="broken off")]))],
            "1 host: 1 broken off in a transaction",
            C.COLOR_ERROR,
        ),
        ([make_result(outcome="confirmed")], "1 host: 1 not confirmed", C.COLOR_ERROR),
        (
            [make_result(outcome="failed", report=make_report(gone=[make_process(2)]))],
            "1 host: 1 not confirmed",
            C.COLOR_ERROR,
        ),
        (
            [CLEAN, make_result(outcome="unreachable")],
            "1 host: 1 not confirmed",
            C.COLOR_ERROR,
        ),
        (
            [
                make_result(report=make_report(survivors=[make_process(2)])),
                make_result(outcome="trying"),
            ],
            "1 host: 1 with survivors",
            C.COLOR_ERROR,
        ),
    ],
)
def test_a_host_counts_once_under_the_worst_of_its_commands(results, text, color):
    last = lines(results)[-1]
    assert (last.text, last.color) == (text, color)


def test_the_good_hosts_come_first_and_then_the_worst():
    results = [{**CLEAN, "host": f"web{number}"} for number in range(178)]
    results.append(make_result("db1", report=make_report(survivors=[make_process(2)])))
    results += [make_result(f"db{number}", outcome="unreachable") for number in range(2, 23)]
    assert verdict(results) == "200 hosts: 178 ended clean, 1 with survivors, 21 not confirmed"


def test_a_host_without_a_guard_is_not_clean():
    assert verdict([CLEAN], unguarded=[UNGUARDED]) == "1 host: 1 not protected"
    tasks = [UnguardedTask("web2", "Dump", "no", wanted) for wanted in (False, True)]
    assert verdict([], tasks=tasks[:1]) == "1 host: 1 not protected"
    assert verdict([CLEAN], tasks=tasks[1:]) == "2 hosts: 1 ended clean, 1 left something alone"


@pytest.mark.parametrize("state", AlwaysState)
def test_a_host_whose_always_section_did_not_end_well_is_not_clean(state):
    told = dataclasses.replace(
        make_run_report([CLEAN]), always=(AlwaysOutcome("web1", state, "reason"),)
    )
    words = "ended clean" if state is AlwaysState.RAN else "without a whole always section"
    assert Recap(told, True).lines()[-1].text == f"1 host: 1 {words}"


def test_after_the_loss_of_a_guardian_no_host_is_clean():
    told = Recap(make_run_report([CLEAN]), True, lost=True).lines()[-1]
    expected = (
        "1 host: 1 ended as far as seen; more may be alive, because a guardian was lost",
        C.COLOR_ERROR,
    )
    assert (told.text, told.color) == expected
    assert (
        Recap(make_run_report([]), True, lost=True).lines()[-1].text
        == "Nothing is known of any host"
    )


def test_an_after_kill_that_did_not_end_well_is_told():
    after = AfterKillReport(
        AfterKillState.ENDED, ("a.yml",), {"web1": HostEnding.FAILED}, {}, status=2
    )
    told = dataclasses.replace(make_run_report([CLEAN]), after_kill=after)
    assert Recap(told, True).lines()[-1].text == (
        "1 host: 1 ended clean; after_kill is not done everywhere"
    )


def _named(results, text):
    return {one["host"] for one in results for line in lines([one]) if text in line.text}


@given(RESULTS, st.sampled_from([0, 1]))
def test_the_counts_are_those_of_the_report_and_of_the_lines(results, verbosity):
    told = lines(results, screen=Screen(verbosity=verbosity))
    if not results:
        assert [line.text for line in told] == ["treekill: nothing was running on any host."]
        return
    number, by_words = counts(told[-1].text)
    hosts = collections.defaultdict(list)
    for one in results:
        hosts[one["host"]].append(one)
    survivors = {host for host, of in hosts.items() for one in of if has(one, "survivors")}
    open_hosts = {
        host
        for host, of in hosts.items()
        for one in of
        if one["outcome"] in ("unreachable", "failed", "trying", "under way")
        or (one["outcome"], one["report"]) == ("confirmed", None)
    }
    assert number == len(hosts) == sum(by_words.values())
    assert by_words.get("with survivors", 0) == len(survivors)
    assert by_words.get("not confirmed", 0) == len(open_hosts - survivors)
    assert survivors == _named(results, "survivor ") - _named_only_by_text(results, "survivor ")
    assert open_hosts == _named(results, "NOT CONFIRMED (task: ")
    assert (told[-1].color == C.COLOR_ERROR) >= bool(survivors | open_hosts)


def has(one, rows) -> bool:
    return bool(one["report"] and one["report"][rows])


def _named_only_by_text(results, text):
    """Hosts whose lines hold the text in a name of their own, and not as a word of the recap."""
    return {
        one["host"]
        for one in results
        if not has(one, "survivors") and any(text in line.text for line in lines([one]))
    }


@given(RESULTS)
def test_no_host_is_clean_of_which_a_line_says_otherwise(results):
    if results:
        clean = counts(verdict(results))[1].get("ended clean", 0)
        bad = {
            one["host"]
            for one in results
            if one["outcome"] != "confirmed"
            or not one["report"]
            or has(one, "survivors")
            or has(one, "spared")
            or any(hand_off["state"] == "left" for hand_off in one["report"]["elsewhere"])
        }
        assert clean == len({one["host"] for one in results} - bad)


def test_a_text_that_is_wider_than_the_terminal_is_wrapped_at_words():
    long = [make_result(outcome="unreachable", reason="ssh: " + "word " * 30)]
    told = lines(long, screen=Screen(60, wraps=True))
    first = next(index for index, line in enumerate(told) if line.text.startswith("web1 : "))
    part = told[first : first + 4]
    assert all(len(line.text) <= 60 for line in part)
    assert all(line.text.startswith("       ") for line in part[1:])
    assert " ".join(line.text.strip() for line in part).count("word") == 30
    assert [line.log for line in part[1:]] == ["", "", ""]
    assert (part[0].log or "").count("word") == 30


def test_a_command_to_copy_is_not_wrapped_and_a_log_keeps_its_lines():
    long = [make_result(outcome="unreachable", reason="ssh: " + "word " * 30)]
    told = [line.text for line in lines(long, screen=Screen(40, wraps=True))]
    assert sum("sweep_runs=" in line and line.startswith("To end") for line in told) == 1
    told = [line.text for line in lines(long, screen=Screen(40))]
    assert sum("word" in line for line in told) == 1


def test_the_command_for_a_sweep_does_not_grow_with_the_hosts():
    def command(number):
        down = [make_result(f"web{index}", outcome="unreachable") for index in range(number)]
        return next(line.text for line in lines(down) if line.text.startswith("To end"))

    assert "--limit web0,web1,web2 " in command(3)
    assert "--limit" not in command(200)
    assert len(command(200)) == len(command(2000)) < 200
