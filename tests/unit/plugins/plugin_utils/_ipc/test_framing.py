# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Frames: the messages that come out are those that went in.

That holds wherever a stream is cut. What is no frame is refused.
"""

from __future__ import annotations

import itertools
import json
import pathlib
import socket
import struct

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import (
    MAX_FRAME_BYTES,
    Channel,
    FrameError,
    FrameReader,
    encode,
    to_json,
)
from hypothesis import given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4)
    ),
    max_leaves=12,
)
MESSAGES = st.lists(st.dictionaries(st.text(st.characters()), JSON, max_size=4), max_size=6)


def framed(payload: bytes) -> bytes:
    return struct.pack("!I", len(payload)) + payload


def cut(stream: bytes, ends: list[int]) -> list[bytes]:
    places = sorted({min(end, len(stream)) for end in ends} | {0, len(stream)})
    return [stream[begin:end] for begin, end in itertools.pairwise(places)]


@given(MESSAGES, st.lists(st.integers(0, 2000), max_size=20))
def test_messages_come_out_whole_and_in_order_however_the_stream_is_cut(messages, ends):
    reader = FrameReader()
    received = []
    for chunk in cut(b"".join(map(encode, messages)), ends):
        received += reader.feed(chunk)
    assert received == messages


@given(MESSAGES)
def test_half_a_frame_is_no_message(messages):
    reader = FrameReader()
    stream = b"".join(map(encode, messages)) + encode({"op": "last"})
    assert reader.feed(stream[:-1]) == messages
    assert reader.feed(stream[-1:]) == [{"op": "last"}]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_of_any_bytes_it_makes_messages_or_an_error_of_its_own(stream, ends):
    reader = FrameReader()
    try:
        for chunk in cut(stream, ends):
            assert all(isinstance(message, dict) for message in reader.feed(chunk))
    except FrameError:
        pass  # which is the other thing that it may do


@given(st.integers(MAX_FRAME_BYTES + 1, 2**32 - 1), st.binary(max_size=20))
def test_a_length_above_the_limit_is_refused_before_anything_is_kept_for_it(length, beginning):
    with pytest.raises(FrameError, match=str(length)):
        FrameReader().feed(struct.pack("!I", length) + beginning)


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b'"op"', b"1", b"null", b"{", b"{'op': 1}", b"\xff", b'{"a": 1} x', b"[" * 100000],
)
def test_what_is_no_object_is_refused(payload):
    with pytest.raises(FrameError):
        FrameReader().feed(framed(payload))


def test_messages_before_the_garbage_do_not_come_late():
    """The sender of these messages now sends garbage.

    They are delivered to no one, as the connection is closed.
    """
    with pytest.raises(FrameError):
        FrameReader().feed(encode({"op": "done"}) + framed(b"garbage"))


class Vaulted(str):
    """Stand-in for Ansible's string types.

    They are for text that comes out of a vault, or is not to be templated.
    """

    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({3, 1}, "[1, 3]"),
        (frozenset("b"), '["b"]'),
        (b"ab\xff", '"ab\\udcff"'),
        (pathlib.PurePosixPath("/x"), '"/x"'),
        (Vaulted("s"), '"s"'),
        ((1, 2), "[1, 2]"),
        ({"a": {1}}, '{"a": [1]}'),
        (object, f'"{object}"'),
    ],
)
def test_options_of_plugins_become_json_whatever_they_are(value, text):
    assert to_json(value) == text


@given(JSON)
def test_json_stays_what_it_is(value):
    assert json.loads(to_json(value)) == value


@pytest.fixture
def ends():
    guardian, worker = socket.socketpair()
    worker.settimeout(5)
    yield guardian, Channel(worker)
    guardian.close()
    worker.close()


def test_a_channel_gives_one_message_at_a_time(ends):
    guardian, channel = ends
    guardian.sendall(encode({"a": 1}) + encode({"b": 2}))
    assert channel.receive() == {"a": 1}
    assert channel.receive() == {"b": 2}


def test_a_channel_whose_guardian_has_gone_says_so(ends):
    guardian, channel = ends
    guardian.sendall(encode({"a": 1})[:3])
    guardian.close()
    with pytest.raises(ConnectionError):
        channel.receive()
    with pytest.raises(BrokenPipeError):
        channel.send({"op": "done"})


def test_a_channel_does_not_wait_longer_than_its_timeout(ends):
    dummy, channel = ends
    channel.socket.settimeout(0.01)
    with pytest.raises(TimeoutError):
        channel.receive()
