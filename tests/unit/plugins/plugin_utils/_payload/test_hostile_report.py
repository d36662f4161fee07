# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report from a host that is not trusted.

Whatever it sends becomes a report or one error, of a size that the controller can bear.
"""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.report_line import VERSION
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import MARK
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import (
    MAX_FRAME_BYTES,
    Channel,
    FrameReader,
    encode,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import KillReport
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order import courier
from ansible_collections.treekill.remote.plugins.plugin_utils._payload import host_report
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.host_report import (
    KillReportError,
    parse_report,
)
from hypothesis import given
from hypothesis import strategies as st

from ..report_factories import HOSTILE, make_process, make_report

ROOT = Path(__file__).resolve().parents[5]
NONCE = "0123456789abcdef"

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | HOSTILE
    | st.sampled_from([10**400, -1, 2**70])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(HOSTILE, inner, max_size=3),
    max_leaves=6,
)
MEMBERS = st.dictionaries(st.sampled_from([*make_process(2)]), VALUES, max_size=3)
PROCESSES = st.lists(
    MEMBERS.map(lambda members: {**make_process(2), **members}) | VALUES, max_size=3
)
GOOD: dict[str, Any] = {"version": VERSION, **make_report(root={"pid": 2, "ppid": 1})}


@st.composite
def contents(draw: st.DrawFn, deep: bool = True) -> dict[str, Any]:
    """A report with some members that have any value, or are missing."""
    content = {
        **GOOD,
        **draw(st.dictionaries(st.sampled_from([*GOOD]), VALUES | PROCESSES, max_size=3)),
    }
    for name in draw(st.lists(st.sampled_from([*GOOD]), max_size=2)):
        content.pop(name, None)
    if deep and draw(st.booleans()):
        content["supervisor"] = draw(contents(deep=False) | VALUES)
    return content


def sent(content: object) -> str:
    return f"banner\r\n{MARK} {NONCE} {json.dumps(content)}\n"


def test_no_report_in_the_supervisors_place_says_that_a_survivor_of_the_pass_is_gone():
    alive, dead = make_process(7, ended=None, reason="not permitted"), make_process(8)
    forged = {**GOOD, "gone": [make_process(7), dead], "survivors": []}
    told = parse_report(
        sent({**GOOD, "gone": [], "survivors": [alive], "supervisor": forged}), NONCE
    )
    assert [one.pid for one in told.survivors] == [7]
    assert [one.pid for one in told.gone] == [8]


def assert_report_or_error(text: str) -> None:
    try:
        got = parse_report(text, NONCE)
    except KillReportError as error:
        assert len(str(error)) < 20000
        return
    assert isinstance(got, KillReport)
    for row in (*got.gone, *got.survivors, *got.spared):
        assert isinstance(row.pid, int)
        assert isinstance(row.start, int)
        assert all(
            isinstance(words, str) and len(words) <= 4096
            for words in (row.user, row.command, row.role, row.reason, row.ended or "")
        )
        assert row.seconds is None or abs(row.seconds) < float("inf")
    assert abs(got.seconds) < float("inf")
    # It goes through JSON to the guardian, and from there to the main process.
    (message,) = FrameReader().feed(encode({"report": got.to_message()}))
    assert KillReport.from_message(message["report"]) == got


@given(contents() | VALUES)
def test_whatever_a_report_holds_it_is_one_or_it_is_refused(content):
    assert_report_or_error(sent(content))


@given(st.text(max_size=60), st.text(max_size=200))
def test_whatever_stands_behind_the_mark(before, behind):
    assert_report_or_error(f"{before}{MARK} {NONCE} {behind}")


@given(st.integers(0, 400))
def test_half_a_report_is_none(length):
    text = sent(GOOD).rstrip("\n}")
    with pytest.raises(KillReportError):
        parse_report(text[:length], NONCE)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100000,
        '{"a":' * 100000,
        "1" * 100000,
        '{"version":1' + "," * 9,
        "NaN",
        "[]",
        "{}",
        "null",
        '"x"',
    ],
    ids=lambda content: content[:6],
)
def test_what_would_break_a_parser_is_refused(content: str):
    with pytest.raises(KillReportError, match=NONCE):
        parse_report(f"{MARK} {NONCE} {content}", NONCE)


@pytest.mark.parametrize("nested", [3, 100000])
def test_supervisors_of_supervisors_are_refused_or_merged(nested: int):
    inner = json.dumps(GOOD)[:-1]
    assert_report_or_error(
        f"{MARK} {NONCE} " + (inner + ',"supervisor":') * nested + inner + "}" * (nested + 1)
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seconds", float("inf")),
        ("seconds", float("nan")),
        ("unreadable", float("inf")),
        ("version", 2),
        ("gone", 1),
    ],
)
def test_numbers_that_are_none_are_refused(name: str, value: object):
    with pytest.raises(KillReportError):
        parse_report(sent({**GOOD, name: value}), NONCE)


@pytest.mark.parametrize(
    "content",
    [
        '{"version":"hunter2"}',
        '{"hunter2',
        "hunter2",
        json.dumps({**GOOD, "unreadable": "hunter2"}),
        json.dumps({**GOOD, "seconds": "hunter2"}),
    ],
)
def test_an_error_quotes_nothing_of_the_report(content: str):
    for text in (f"{MARK} {NONCE} {content}", content):
        with pytest.raises(KillReportError, match=NONCE) as caught:
            parse_report(text, NONCE)
        assert "hunter2" not in str(caught.value)


def test_texts_are_cut_to_what_can_be_shown():
    long = parse_report(
        sent({**GOOD, "survivors": [make_process(3, command="x" * 10**6, user="y" * 10**6)]}), NONCE
    )
    assert (len(long.survivors[0].command), len(long.survivors[0].user)) == (4096, 4096)


def test_more_than_any_kill_pass_says_is_not_even_searched():
    with pytest.raises(KillReportError, match="no report is that long"):
        parse_report(" " * (host_report._MOST_OUTPUT_CHARACTERS + 1), NONCE)


def test_the_report_of_the_largest_tree_is_taken():
    rows = [make_process(pid, pid, command="x" * 200) for pid in range(2, 30002)]
    text = f"{MARK} {NONCE} {json.dumps({**GOOD, 'gone': rows})}"
    assert len(parse_report(text, NONCE).gone) == 30000


def test_the_report_of_many_hosts_reaches_the_main_process():
    """Messages of workers have a lower limit than those of the guardian.

    A frame of its report is longer than any order.
    """
    rows = [make_process(pid, command="x" * 200) for pid in range(2, 1002)]
    message = {"report": {"results": [{"report": make_report(gone=rows)} for dummy in range(40)]}}
    frame = encode(message)
    assert len(frame) > 2 * MAX_FRAME_BYTES

    class Connected:
        def __init__(self) -> None:
            self.stream = io.BytesIO(frame)

        def recv(self, count: int) -> bytes:
            return self.stream.read(count)

    assert Channel(Connected()).receive() == message  # type: ignore[arg-type]


def test_a_courier_that_is_flooded_ends_with_an_answer():
    """The host sends more than there is memory for.

    It runs in a process of its own: the limit can't be lifted again.
    """
    source = (
        "import json\n"
        "from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order import courier\n"
        "class Flooded:\n"
        "    @classmethod\n"
        "    def from_message(cls, order, reach):\n"
        "        return cls()\n"
        "    def masked(self, report):\n"
        "        return report\n"
        "    def masked_reason(self, reason):\n"
        "        return reason\n"
        "    def carry_out(self, mode):\n"
        "        said = []\n"
        "        while True:\n"
        "            said.append(b'x' * (1 << 20))\n"
        "            assert len(said) < 4096\n"
        "courier.KillOrder = Flooded\n"
        "courier.bound_memory()\n"
        "lease = courier.Lease('00000001', 1, 'web1', 'a task', None, '1', '1')\n"
        "print(json.dumps(courier._carry_out(lease, courier.PassMode.END, 0.0).to_message()))\n"
    )
    environ = {"PYTHONPATH": ":".join(filter(None, sys.path)), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [sys.executable, "-c", source], env=environ, stdout=subprocess.PIPE, check=True, text=True
    )
    answer = json.loads(done.stdout)
    assert (answer["outcome"], answer["report"]) == ("failed", None)
    assert "the host sent more than 512 MB" in answer["reason"]


def test_a_lower_limit_that_is_in_force_stays(monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda dummy: (10**9, 2 * 10**9))
    monkeypatch.setattr(resource, "setrlimit", lambda dummy, limits: asked.append(limits))
    courier.bound_memory()
    assert asked[0][0] <= 2 * 10**9
    assert asked[0][1] == 2 * 10**9


def test_a_courier_may_reserve_address_space_and_not_fill_it():
    """A client in Go reserves half a gigabyte of it as it starts.

    With a limit on that it dies, and the kill order has no answer.
    """
    source = (
        "import mmap\n"
        "from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order import courier\n"
        "courier.bound_memory()\n"
        "flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS\n"
        "reserved = mmap.mmap(-1, 4 * courier._MEMORY_BYTES, flags=flags, prot=0)\n"
        "try:\n"
        "    filled = bytearray(courier._MEMORY_BYTES * 5 // 4)\n"
        "except MemoryError:\n"
        "    print('bounded')\n"
    )
    environ = {**os.environ, "PYTHONPATH": ":".join(filter(None, sys.path))}
    assert (
        subprocess.run(
            [sys.executable, "-c", source],
            env=environ,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        == "bounded\n"
    )
