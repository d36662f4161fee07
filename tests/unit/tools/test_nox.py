# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every gate and every suite has a session of nox."""

from __future__ import annotations

import re

import pytest

from tools.environment import _nox
from tools.environment.__main__ import COMMANDS
from tools.environment._gates import GATES
from tools.environment._paths import ROOT
from tools.environment._tests import PROGRAMS, SUITES


def test_every_gate_is_one_session():
    assert sorted([*_nox.GATES.values(), *_nox.OF_ANTSIBULL_NOX]) == sorted(GATES)


def test_every_suite_and_every_program_is_a_session_of_its_name():
    assert {*SUITES, *PROGRAMS} <= {*_nox.COMMANDS} <= {*COMMANDS}
    assert not {*_nox.COMMANDS} & {*_nox.GATES}


def test_the_sessions_of_antsibull_nox_are_configured():
    sections = re.findall(
        r"^\[sessions\.(\w+)\]$",
        (ROOT / "antsibull-nox.toml").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert sections == [session.replace("-", "_") for session in _nox.OF_ANTSIBULL_NOX.values()]


@pytest.mark.parametrize(
    ("printed", "has_run"),
    [
        ("nox > Running session extra-checks\nnox > Session extra-checks was successful.", True),
        (
            (
                "nox > Running session extra-checks\nnox > Skipping action-groups...\n"
                "nox > Session extra-checks was successful."
            ),
            False,
        ),
        ("nox > No session was selected", False),
    ],
)
def test_a_session_that_has_left_something_out_has_not_passed(printed: str, has_run: bool):
    assert _nox.has_run("extra-checks", printed) is has_run
