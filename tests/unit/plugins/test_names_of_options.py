# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Former and misspelt names of options, and options that mean nothing together."""

import pytest

from .plugin_utils.playbook_runs import start_playbook

RUN = "0123456789abcdef"
KILL = "treekill.remote.process_tree_kill"
INFO = "treekill.remote.process_tree_info"
JOURNAL = "treekill.remote.run_journal"


def said_by(module, options):
    """Return the exit status of a play with one task, and its output on one line."""
    with start_playbook([{"name": "Do it", module: options}]) as run:
        said = " ".join(run.finished().split())
    return run.process.returncode, said


@pytest.mark.parametrize(
    ("module", "former", "present"),
    [
        (INFO, {"run": RUN}, {"runs": RUN}),
        (KILL, {"run": RUN, "lease": "89abcdef"}, {"runs": RUN, "leases": "89abcdef"}),
        (
            JOURNAL,
            {"run": RUN, "host": "web1", "swept": ["89abcdef"]},
            {"runs": [RUN], "host": "web1", "swept": ["89abcdef"]},
        ),
    ],
)
def test_a_former_name_works_and_is_called_deprecated(module, former, present):
    status, said = said_by(module, former)
    assert status == 0, said
    assert "DEPRECATION" in said, said
    assert "3.0.0" in said, said
    status, said = said_by(module, present)
    assert status == 0, said
    assert "DEPRECATION" not in said, said


def test_reading_by_the_module_that_writes_works_and_is_called_deprecated():
    status, said = said_by(JOURNAL, {"open": True})
    assert status == 0, said
    assert "DEPRECATION" in said, said
    assert "run_journal_info" in said, said
    status, said = said_by(f"{JOURNAL}_info", {"open": True})
    assert status == 0, said
    assert "DEPRECATION" not in said, said


def test_leases_of_a_sweep_need_exactly_one_run():
    status, said = said_by("treekill.remote.run_sweep", {"leases": ["89abcdef"]})
    assert status == 2, said
    assert "exactly one run" in said, said


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "one of the following is required: runs, dead, pid, pid_file"),
        ({"runs": RUN, "pid": 7, "start": 7}, "parameters are mutually exclusive: runs|pid"),
        ({"pid": 7}, "parameters are required together: pid, start"),
        ({"dead": True, "leases": "89abcdef"}, "missing parameter(s) required by 'leases': runs"),
        ({"runs": RUN, "older_than": "2d"}, "missing parameter(s) required by 'older_than': dead"),
        ({"runs": RUN, "dead": False, "older_than": "2d"}, "older_than requires dead"),
        ({"dead": False}, "none was given"),
        ({"dead": True, "older_than": "soon"}, "is no age"),
    ],
)
def test_options_that_mean_nothing_together_are_refused(options, expected):
    status, said = said_by(KILL, options)
    assert status == 2, said
    assert expected in said, said


@pytest.mark.parametrize("action", ["command", "shell", "raw", "script"])
def test_a_misspelt_kill_option_of_a_task_fails_it(action):
    module = f"treekill.remote.{action}"
    status, said = said_by(module, {"cmd": "/bin/true", "kill_timout": 3})
    assert status == 2, said
    assert "kill_timout" in said, said
    status, said = said_by(module, {"cmd": "/bin/true", "kill_timeout": 3})
    assert status == 0, said
