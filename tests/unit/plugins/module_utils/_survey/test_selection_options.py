# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parameters of the modules become options with a type."""

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.module_utils._survey.selection_options import (
    NO_PROCESS,
    SelectionOptions,
)

RUN, LEASE = "0123456789abcdef", "89abcdef"
#: Parameters of process_tree_kill that a task has not given.
NOTHING = {
    "runs": None,
    "leases": None,
    "left_behind": False,
    "dead": None,
    "older_than": None,
    "pid": None,
    "start": None,
    "pid_file": None,
}


def options(**params):
    made = SelectionOptions.from_params(dict(NOTHING, **params))
    return {name: getattr(made, name) for name in SelectionOptions.__slots__}


UNSET = {
    "runs": (),
    "leases": (),
    "left_behind": False,
    "dead": False,
    "older_than": None,
    "process": NO_PROCESS,
    "pid_file": "",
}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, {}),
        ({"runs": [RUN], "leases": [LEASE]}, {"runs": [RUN], "leases": [LEASE]}),
        ({"runs": [RUN], "left_behind": True}, {"runs": [RUN], "left_behind": True}),
        ({"dead": True, "older_than": "2m"}, {"dead": True, "older_than": 120.0}),
        ({"pid": 7, "start": 8}, {"process": ProcessId(7, 8)}),
        ({"pid": 0, "start": 8}, {"process": ProcessId(0, 8)}),
        ({"pid_file": "/run/x.pid"}, {"pid_file": "/run/x.pid"}),
    ],
)
def test_each_parameter_is_an_option(params, expected):
    assert options(**params) == {**UNSET, **expected}


def test_a_module_may_have_only_some_of_them():
    made = SelectionOptions.from_params({"runs": [RUN], "dead": True, "older_than": "1h"})
    assert (made.runs, made.dead, made.older_than) == ([RUN], True, 3600.0)
    assert (made.leases, made.left_behind, made.process) == ((), False, NO_PROCESS)


def test_a_text_that_is_no_age_is_refused():
    with pytest.raises(ValueError, match="is no age"):
        options(dead=True, older_than="soon")
