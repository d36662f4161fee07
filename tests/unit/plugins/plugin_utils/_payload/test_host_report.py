# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a host is found among what else it prints, and a broken one is an error."""

from __future__ import annotations

import json

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.host_report import (
    KillReportError,
    parse_report,
)


@pytest.mark.parametrize(
    "noise",
    [
        "{}",
        "Welcome\r\n{}\r\nConnection closed\r\n",
        "no end of line{}",
        "TREEKILL-REPORT n1 {{}}\n{}\n",
    ],
)
def test_the_report_is_found_among_what_else_a_host_prints(noise):
    content = {
        "version": 1,
        "method": "proc",
        "root": {"pid": 5, "ppid": 4},
        "gone": [],
        "survivors": [],
        "spared": [],
        "unreadable": 2,
        "escalated": False,
        "seconds": 0.25,
    }
    report = parse_report(noise.format("TREEKILL-REPORT n0 " + json.dumps(content)), "n0")
    assert (report.root, report.unreadable, report.seconds) == ((5, 4), 2, 0.25)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "TREEKILL-REPORT n0",
        "TREEKILL-REPORT n0 ",
        'TREEKILL-REPORT n0 {"version":1,"method":"proc","ro',
        "TREEKILL-REPORT n0 {}",
        "TREEKILL-REPORT n0 []",
        'TREEKILL-REPORT n0 {"version":2}',
        'TREEKILL-REPORT n1 {"version":1}',
        (
            'TREEKILL-REPORT n0 {"version":1,"method":"proc","root":5,"gone":[],"survivors":[],'
            '"spared":[],"unreadable":0,"escalated":false,"seconds":0}'
        ),
        (
            'TREEKILL-REPORT n0 {"version":1,"method":"proc","root":null,"gone":[{}],'
            '"survivors":[],"spared":[],"unreadable":0,"escalated":false,"seconds":0}'
        ),
    ],
)
def test_a_missing_or_broken_report_is_an_error_that_says_so(text):
    with pytest.raises(KillReportError, match="n0"):
        parse_report(text, "n0")
