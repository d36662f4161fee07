# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The drawn tree: each process is below its parent, none is lost, and it fits the screen."""

from __future__ import annotations

import dataclasses
import re
import unicodedata

from ansible_collections.treekill.remote.plugins.plugin_utils._recap.drawing import Screen, draw
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.text import (
    columns,
    escaped,
    shortened,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.tree import (
    SUPERVISOR,
    Kinds,
    trees,
)
from hypothesis import given
from hypothesis import strategies as st

from ..report_factories import HOSTILE, KILL_REPORTS, make_kill_report, make_process

#: Reports whose processes name each other as parents, in circles too.
FAMILIES = st.lists(
    st.tuples(
        st.integers(2, 12),
        st.integers(0, 12),
        st.sampled_from("ab"),
        st.sampled_from(["TERM", "KILL", "exited"]),
    ),
    max_size=12,
    unique_by=lambda row: row[0],
).map(
    lambda rows: make_kill_report(
        gone=[
            make_process(pid, ppid=ppid, command=command, ended=ended)
            for pid, ppid, command, ended in rows
        ]
    )
)

WIDTHS = st.integers(20, 200)


def drawn(told, **screen) -> list[str]:
    return [
        line.text
        for line in draw(
            trees(told, Kinds(), apart=screen.get("verbosity", 0) > 1), Screen(**screen)
        )
    ]


def all_pids(told, apart=False) -> list[int]:
    return sorted(
        pid
        for top in trees(told, Kinds(), apart)
        for group in top.with_descendants()
        if group.state != SUPERVISOR
        for pid in group.pids
    )


@given(FAMILIES | KILL_REPORTS, st.booleans())
def test_each_process_has_exactly_one_place(told, apart):
    assert all_pids(told, apart) == sorted(
        row.pid for rows in (told.gone, told.survivors, told.spared) for row in rows
    )


@given(FAMILIES)
def test_drawn_in_full_each_stands_one_step_below_his_parent(told):
    lines = drawn(told, verbosity=2, width=1000)
    depth = {
        int(match[2]): len(match[1])
        for match in (re.match(r"([ │├└─]*)[ab] \((\d+)", line) for line in lines)
        if match
    }
    assert sorted(depth) == all_pids(told)
    for top in trees(told, Kinds(), apart=True):
        for group in top.with_descendants():
            assert all(depth[one.pids[0]] == depth[group.pids[0]] + 2 for one in group.below)


def test_a_tree_is_drawn_as_pstree_does():
    rows = [(10, 9, "make"), (11, 10, "cc1"), (12, 10, "cc1"), (13, 10, "sh"), (14, 13, "sleep")]
    gone = [
        make_process(pid, ppid=ppid, command=command, seconds=pid / 10)
        for pid, ppid, command in rows
    ]
    gone[-1] |= {"ended": "KILL", "user": "root"}
    assert drawn(make_kill_report(gone=gone)) == [
        "  make (10, u)          ended on TERM in 1.0 s",
        "  ├─2*[cc1]             ended on TERM in 1.1 to 1.2 s",
        "  └─sh (13)             ended on TERM in 1.3 s",
        "    └─sleep (14, root)  KILL after 1.4 s",
    ]
    assert "  |-2*[cc1]" in drawn(make_kill_report(gone=gone), unicode=False)[1]


def test_each_way_to_end_has_its_words():
    gone = [
        make_process(2, ended="INT", seconds=0.02),
        make_process(3, ended=None),
        make_process(4, ended="KILL", seconds=10.0),
    ]
    lines = drawn(
        make_kill_report(
            gone=gone,
            survivors=[make_process(5, ended=None, reason="not permitted")],
            spared=[make_process(6, ended=None)],
        )
    )
    endings = [line.split("  ")[-1] for line in lines]
    assert endings == [
        "ended on INT in 0.02 s",
        "ended in 0.1 s",
        "KILL after 10.0 s",
        "survived: not permitted",
        "spared (TREEKILL=spare)",
    ]


def test_orphans_stand_below_the_supervisor_that_kept_them():
    gone = [
        make_process(10, ppid=9, role="root"),
        make_process(12, ppid=11, command="module"),
        make_process(13, ppid=11, command="orphan"),
    ]
    lines = [
        line.split("  ended")[0].strip()
        for line in drawn(make_kill_report(gone=gone, supervised=True))
    ]
    assert lines == ["c (10, u)", "└─supervisor (11)", "├─module (12)", "└─orphan (13)"]
    assert not any("supervisor" in line for line in drawn(make_kill_report(gone=gone)))


@given(FAMILIES)
def test_what_is_taken_together_is_what_pstree_takes_together(told):
    """Beside each other there are never two that are alike."""
    for top in trees(told, Kinds()):
        for group in top.with_descendants():
            kinds = [one.kind for one in group.below]
            assert len(kinds) == len(set(kinds))


def test_a_chain_of_ten_thousand_forks_and_a_crowd_of_as_many_are_cut_short_and_counted():
    chain = [make_process(pid, ppid=pid - 1) for pid in range(2, 10_002)]
    crowd = [make_process(pid, ppid=2, command=f"c{pid}") for pid in range(2, 10_002)]
    for rows in (chain, crowd):
        lines = drawn(make_kill_report(gone=rows))
        assert len(lines) == 25
        assert "and 9976 more (TERM 9976); -vv draws all" in lines[-1]
        assert len(drawn(make_kill_report(gone=rows), verbosity=1)) == 401
        assert len(drawn(make_kill_report(gone=rows), verbosity=2)) == 10_000


@given(st.sets(st.integers(3, 400), min_size=1, max_size=5))
def test_survivors_are_drawn_however_large_the_tree_is(pids):
    gone = [
        make_process(pid, ppid=pid - 1, command=f"c{pid % 7}")
        for pid in range(2, 401)
        if pid not in pids
    ]
    lines = drawn(
        make_kill_report(
            gone=gone,
            survivors=[make_process(pid, ppid=pid - 1, ended=None, reason="why") for pid in pids],
        )
    )
    assert sum("survived: why" in line for line in lines) == len(pids)


@given(FAMILIES | KILL_REPORTS, WIDTHS, st.booleans(), st.integers(0, 2))
def test_every_line_is_one_line_of_what_it_looks_like(told, width, unicode, verbosity):
    for line in drawn(told, width=width, unicode=unicode, verbosity=verbosity):
        assert line.isprintable()
        assert not [
            one
            for one in line
            if unicodedata.bidirectional(one) in ("R", "AL", "AN")
            or unicodedata.category(one)[0] == "M"
        ]


@given(FAMILIES, st.integers(60, 200), st.text("ab/ -", max_size=300))
def test_no_line_is_longer_than_the_screen_is_wide(told, width, command):
    survivor = make_process(
        99,
        command=command,
        ended=None,
        reason="not permitted (owned by root; sudo: a password is required)",
    )
    there = dataclasses.replace(
        told.rewritten(lambda dummy: command, str),
        survivors=make_kill_report(survivors=[survivor]).survivors,
    )
    assert [line for line in drawn(there, width=width) if columns(line) > width] == []


@given(HOSTILE)
def test_escaped_text_is_what_it_looks_like_and_can_be_told_from_no_other(text):
    shown = escaped(text)
    assert shown.isprintable()
    assert not [
        one
        for one in shown
        if unicodedata.bidirectional(one) in ("R", "AL", "AN")
        or unicodedata.category(one)[0] == "M"
    ]
    if "\\" not in text:
        parts = re.split(r"(\\(?:x..|u....|U........|[nrt]))", shown)
        assert (
            "".join(
                part.encode().decode("unicode_escape") if part.startswith("\\") else part
                for part in parts
            )
            == text
        )


def test_what_reorders_or_joins_is_escaped_and_what_does_not_is_left():
    assert (
        escaped("a\u202eb \u05d0 e\u0301 \u200b \x1b[2J\n é 日本")
        == r"a\u202eb \u05d0 e\u0301 \u200b \x1b[2J\n é 日本"
    )


@given(HOSTILE.map(escaped), st.integers(4, 100))
def test_shortened_text_has_at_most_so_many_columns(text, width):
    assert columns(shortened(text, width)) <= width
    assert shortened(text, columns(text)) == text
