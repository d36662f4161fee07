# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of process_tree_kill, and the combinations that are refused."""

import math
import signal

import pytest
from ansible_collections.treekill.remote.plugins.modules.process_tree_kill import (
    check_options,
    request_of,
    signal_number,
)

RUN = "0123456789abcdef"
NOTHING = {
    "runs": None,
    "leases": None,
    "left_behind": False,
    "dead": False,
    "older_than": None,
    "pid": None,
    "start": None,
    "pid_file": None,
}
USUAL = {
    "kill_signal": "TERM",
    "kill_children": True,
    "kill_children_signal": "TERM",
    "kill_mode": "mixed",
    "kill_timeout": 10.0,
    "finish": True,
    "finish_programs": None,
    "finish_modules": None,
    "finish_timeout": 600.0,
    "arguments": True,
}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dead": False},
        {"runs": []},
        {"runs": [RUN], "dead": True},
        {"dead": True, "pid_file": "/run/x.pid"},
        {"pid": 7, "start": 7, "runs": [RUN]},
        {"dead": True, "leases": ["89abcdef"]},
        {"dead": True, "left_behind": True},
        {"runs": [RUN], "older_than": "5s"},
    ],
)
def test_options_that_mean_nothing_together_are_refused(options):
    with pytest.raises(ValueError, match=r"one of runs, dead, pid and pid_file| requires "):
        check_options(dict(NOTHING, **options))


@pytest.mark.parametrize(
    "options",
    [
        {"runs": [RUN]},
        {"runs": [RUN], "leases": ["89abcdef"]},
        {"dead": True, "older_than": "5s"},
        {"pid": 0, "start": 7},
        {"pid_file": "/run/x.pid"},
    ],
)
def test_options_that_name_one_thing_are_taken(options):
    check_options(dict(NOTHING, **options))


@pytest.mark.parametrize(
    ("text", "number"), [("TERM", 15), ("sigint", 2), ("9", 9), ("SIGUSR1", signal.SIGUSR1)]
)
def test_signals_have_names_and_numbers(text, number):
    assert signal_number(text) == number


@pytest.mark.parametrize("text", ["", "DFL", "SIG_IGN", "NOPE", "0", "65", "-1", "nal"])
def test_what_is_no_signal_is_refused(text):
    with pytest.raises(ValueError, match="not a signal"):
        signal_number(text)


@pytest.mark.parametrize("name", ["kill_timeout", "finish_timeout"])
@pytest.mark.parametrize("seconds", [-1.0, math.inf, math.nan])
def test_a_time_that_is_none_is_refused(name, seconds):
    with pytest.raises(ValueError, match=name):
        request_of(dict(USUAL, **{name: seconds}))


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({}, ("usual", "usual")),
        ({"finish_programs": ["rpm", "dpkg"]}, ("rpm,dpkg", "usual")),
        ({"finish_modules": []}, ("usual", "")),
        ({"finish": False}, ("", "")),
        ({"finish": False, "finish_programs": ["dpkg"], "finish_modules": ["apt"]}, ("", "")),
    ],
)
def test_the_options_say_which_transactions_are_finished(options, asked):
    request = request_of(dict(USUAL, **options, finish_timeout=7.0))
    assert (request.finish, request.finish_modules) == asked
    assert request.finish_timeout == 7.0
