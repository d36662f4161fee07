# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A look at a whole host takes little memory, and loses nothing that it looks for. Python 3.6."""

import os
import subprocess

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._process.proc import ProcTable
from ansible_collections.treekill.remote.plugins.module_utils._process.snapshot import (
    Snapshot,
    kept,
)
from hypothesis import given
from hypothesis import strategies as st

TOLD = [
    b"TREEKILL=0123456789abcdef/89abcdef/17/4",
    b"TREEKILL=spare",
    b"TREEKILL_KEEP=1",
    b"INVOCATION_ID=x",
    b"SSH_CONNECTION=a b",
]


@given(
    st.lists(st.sampled_from([*TOLD, b"A=1", b"", b"X=TREEKILL=spare", b"LONG=" + b"x" * 10000]))
)
def test_of_any_environment_all_is_kept_that_is_asked_of_it(entries):
    environment = b"\0".join(entries)
    found = kept(environment)
    assert [entry for entry in found.split(b"\0") if entry in TOLD] == [
        entry for entry in entries if entry in TOLD
    ]
    assert bool(found) == bool(environment)
    assert len(found) <= 10000


@pytest.mark.parametrize("environment", [None, b"", b"A=1\0"])
def test_what_is_short_is_kept_as_it_is(environment):
    assert kept(environment) == environment


class Counting(ProcTable):
    """A reader that notes the largest amount read at a time, and the total."""

    total = 0

    def environments(self, pids):
        for pid, environment in ProcTable.environments(self, pids):
            self.total += len(environment or b"")
            yield pid, environment


def test_large_environments_are_read_one_by_one_to_their_ends():
    environment = {"V%d" % number: "x" * 100000 for number in range(5)}
    environment["TREEKILL"] = "0123456789abcdef/89abcdef/17/4"
    children = [
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, env=environment) for dummy in range(5)
    ]
    try:
        table = Counting()
        while any(table.arguments(child.pid) != [b"cat"] for child in children):
            pass
        table.total = 0
        snapshot = Snapshot(table)
        assert table.total > 5 * 500000
        held = dict(snapshot.environments([child.pid for child in children]))
        assert set(held.values()) == {b"TREEKILL=0123456789abcdef/89abcdef/17/4"}
        assert snapshot.environment(os.getpid())
    finally:
        for child in children:
            child.communicate()
