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
    "run": None,
    "lease": None,
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
    "arguments": True,
}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dead": False},
        {"run": []},
        {"run": [RUN], "dead": True},
        {"dead": True, "pid_file": "/run/x.pid"},
        {"pid": 7},
        {"start": 7},
        {"pid": 7, "start": 7, "run": [RUN]},
        {"dead": True, "lease": ["89abcdef"]},
        {"dead": True, "left_behind": True},
        {"run": [RUN], "older_than": 5.0},
    ],
)
def test_options_that_mean_nothing_together_are_refused(options):
    with pytest.raises(
        ValueError, match=r"one of run, dead, pid and pid_file|belong together|makes sense with"
    ):
        check_options(dict(NOTHING, **options))


@pytest.mark.parametrize(
    "options",
    [
        {"run": [RUN]},
        {"run": [RUN], "lease": ["89abcdef"]},
        {"dead": True, "older_than": 5.0},
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
    with pytest.raises(ValueError, match="no signal"):
        signal_number(text)


@pytest.mark.parametrize("seconds", [-1.0, math.inf, math.nan])
def test_a_time_that_is_none_is_refused(seconds):
    with pytest.raises(ValueError, match="kill_timeout"):
        request_of(dict(USUAL, kill_timeout=seconds))
