# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real guardian of a real process, with arbitrary bytes on its socket.

It goes on to serve the clients that speak its protocol.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import Channel, encode
from hypothesis import given, settings
from hypothesis import strategies as st

from ..run_factory import answer_of, start_run

TERMS = {
    "run": "00000000000000aa",
    "timeout": 0.0,
    "retry_for": 0.0,
    "keep": True,
    "end_async": False,
    "local": True,
    "cut": False,
    "supervised": False,
    "transfer": False,
}

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = (
    SCALARS
    | st.lists(SCALARS, max_size=3)
    | st.dictionaries(st.text(max_size=3), SCALARS, max_size=3)
)
LEASES = st.sampled_from(["00000001", "00000002", "00000003"])
OPERATIONS = st.sampled_from(
    ["take", "done", "detach", "broken", "report", "main", "leave", "after", "signals"]
)
MESSAGES = st.dictionaries(
    st.sampled_from(
        ["op", "lease", "host", "task", "terms", "order", "reach", "wait", "lost", "signals"]
    ),
    VALUES,
    max_size=9,
) | st.fixed_dictionaries(
    {"op": OPERATIONS, "lease": LEASES | VALUES},
    optional=dict.fromkeys(
        ("wait", "lost", "host", "task", "terms", "order", "reach"), VALUES | st.just(TERMS)
    ),
)
STREAMS = st.lists(
    st.binary(max_size=60)
    | MESSAGES.map(encode)
    | MESSAGES.map(lambda message: encode(message)[:-1])
    | st.binary(max_size=60).map(lambda payload: struct.pack("!I", len(payload)) + payload)
    | st.integers(0, 2**32 - 1).map(lambda length: struct.pack("!I", length)),
    max_size=6,
)


@pytest.fixture(scope="module")
def path() -> Iterator[str]:
    """The socket of a guardian whose main process is another one than this."""
    with start_run({"wait": True}) as process:
        yield answer_of(process)


def connected(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(path)
    return connection


def assert_serves(path: str) -> None:
    """Assert that it grants a lease, and takes it back."""
    with connected(path) as connection:
        channel = Channel(connection)
        channel.send(
            {
                "op": "take",
                "lease": "0000aaaa",
                "host": "h",
                "task": "t",
                "order": "{}",
                "reach": "{}",
                "terms": TERMS,
            }
        )
        assert channel.receive() == {"granted": True, "late": False, "why": "", "number": None}
        channel.send({"op": "done", "lease": "0000aaaa"})
        # Only when the guardian has read that does it read the end, and hang up.
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


@settings(max_examples=150)
@given(st.lists(STREAMS, min_size=1, max_size=3))
def test_whatever_is_written_to_it_a_guardian_serves_on(path, streams):
    for chunks in streams:
        with connected(path) as connection:
            for chunk in chunks:
                try:
                    connection.sendall(chunk)
                except (BrokenPipeError, ConnectionResetError):
                    break  # it has hung up, as it should on garbage
    assert_serves(path)


def test_a_connection_that_sends_nothing_holds_up_no_other(path):
    silent = [connected(path) for dummy in range(50)]
    assert_serves(path)
    for connection in silent:
        connection.close()
    assert_serves(path)


def test_the_socket_and_what_is_around_it_are_for_this_user_alone(path):
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
    assert sorted(os.listdir(os.path.dirname(path))) == ["lock", "socket"]
