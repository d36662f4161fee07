# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recap: one honest line for each thing, whatever hosts and processes call themselves."""

from __future__ import annotations

import re
import shlex

import pytest
from ansible import context
from ansible.module_utils.common.collections import ImmutableDict
from ansible_collections.treekill.remote.plugins.plugin_utils._recap import Recap
from hypothesis import given
from hypothesis import strategies as st

from .made_up_reports import HOSTILE, RESULTS, process, report, result


@pytest.fixture(autouse=True)
def _command_line(monkeypatch):
    monkeypatch.setattr(context, "CLIARGS", ImmutableDict(inventory=("/etc/my hosts", "more.yml")))


def recap(results, cause="SIGINT", interrupted=True, unguarded=()) -> list[str]:
    message = {"run": "0123456789abcdef", "cause": cause, "guardian": 1, "results": results, "unguarded": list(unguarded)}
    return [line.text for line in Recap(message, interrupted).lines()]


@given(RESULTS, st.booleans())
def test_every_line_is_one_line_of_printable_characters(results, interrupted):
    assert [line for line in recap(results, interrupted=interrupted) if not line.isprintable()] == []


@given(HOSTILE)
def test_a_host_that_lies_about_types_writes_no_control_characters_either(text):
    """What a host sends is JSON: nothing says that its numbers are numbers."""
    lies = process(text, text, user=text, ended=text, reason=text)  # type: ignore[arg-type]
    try:
        lines = recap([result(report=report(gone=[lies], survivors=[{**lies, "ended": None}], spared=[lies]))])
    except (TypeError, ValueError):
        return
    assert [line for line in lines if not line.isprintable()] == []


@given(RESULTS)
def test_every_host_has_its_lines_and_every_survivor_is_named(results):
    lines = recap(results)
    for one in results:
        assert any(re.match(rf"{re.escape(one['host'])} +: ", line) for line in lines)
        for survivor in (one["report"] or {"survivors": []})["survivors"]:
            assert any(f"survivor {survivor['pid']} (" in line for line in lines)


@given(RESULTS)
def test_the_command_that_finishes_the_job_names_exactly_the_hosts_that_are_not_clean(results):
    unclean = {one["host"] for one in results if one["outcome"] in ("unreachable", "failed", "trying", "under way") or (one["report"] or report())["survivors"]}
    command = [line for line in recap(results) if line.startswith("To finish it")]
    assert len(command) == bool(unclean)
    if command:
        words = shlex.split(command[0].partition(": ")[2])
        assert words[:6] == ["ansible-playbook", "treekill.remote.sweep", "-i", "/etc/my hosts", "-i", "more.yml"]
        assert set(words[words.index("--limit") + 1].split(",")) == unclean
        assert words[-1] == "sweep_run=0123456789abcdef"


def test_nothing_to_say_is_said_only_to_who_interrupted():
    assert recap([], interrupted=True) == ["treekill: nothing was running on any host."]
    assert recap([], cause="", interrupted=False) == []


def test_a_run_that_ended_by_itself_is_not_told_what_was_left_alone_or_was_gone_already():
    assert recap([result(outcome="left"), result(report=report())], cause="", interrupted=False) == []


def test_how_the_processes_ended_is_counted():
    gone = [process(2), process(3), process(4, ended="KILL"), process(5, ended=None)]
    assert "web1 : ended 4 (KILL 1, TERM 2, exited 1), survivors 0, 0.2 s" in recap([result(report=report(gone=gone))])


def test_a_survivor_is_named_with_pid_user_command_and_reason():
    survivor = process(7, user="root", command="sh -c \x1b[2Jrm\n", ended=None, reason="not permitted")
    lines = recap([result(report=report(survivors=[survivor]))])
    assert "       survivor 7 (root) sh -c \\x1b[2Jrm\\n: not permitted" in lines


def test_a_host_that_is_tried_again_is_told_for_how_long():
    lines = recap([result(outcome="trying", reason="ssh:\n timed out")])
    assert "web1 : NOT CONFIRMED (task: Dump): ssh: timed out. Tried again for 60 s in all, also after this command has ended." in lines


def test_what_was_spared_and_what_was_left_alone_is_named():
    lines = recap([result(report=report(gone=[process(2)], spared=[process(8)])), result("web2", outcome="left", reason="poll 0")])
    assert "       spared 1 (TREEKILL=spare): pid 8" in lines
    assert "web2 : left alone: poll 0 (task: Dump)" in lines


def test_a_transfer_that_was_broken_off_is_told_and_leaves_nothing_to_be_done():
    lines = recap([result(outcome="broken off")])
    assert "web1 : a file transfer was broken off (task: Dump)" in lines
    assert not [line for line in lines if "NOT CONFIRMED" in line or line.startswith("To finish it")]


def test_a_host_that_nobody_guarded_is_listed_though_nothing_else_ran():
    lines = recap([], unguarded=[{"host": "switch", "connection": "network_cli", "reason": "no\nshell"}])
    assert "switch : NOT PROTECTED over network_cli: no\\nshell" in lines
    assert not any("nothing was running" in line for line in lines)
