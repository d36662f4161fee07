# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kill request on its way: it arrives as it was sent."""

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import (
    KillRequest,
    read_request,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.request_words import (
    request_words,
)
from hypothesis import given
from hypothesis import strategies as st

seconds = st.one_of(st.integers(0, 10**6), st.floats(0, 10**6).map(lambda value: round(value, 6)))


@given(
    st.integers(1, 64),
    st.booleans(),
    st.integers(1, 64),
    seconds,
    seconds,
    st.booleans(),
    st.booleans(),
    st.lists(st.integers(0, 1 << 40), max_size=4),
    seconds,
)
def test_what_is_asked_arrives(
    signal, children, children_signal, timeout, arrival_timeout, arguments, escalate, found, began
):
    request = KillRequest(
        "0" * 16,
        "*",
        "1",
        signal,
        children,
        children_signal,
        timeout,
        arrival_timeout,
        arguments,
        escalate,
        ",".join("%d:%d" % (pid, pid) for pid in found),
        began,
    )
    words = request_words(request)
    read = read_request(words)
    assert vars(read) == vars(request)
    assert [type(value) for value in vars(read).values()] == [
        type(value) for value in vars(KillRequest()).values()
    ]
    assert not any(char in word for word in words for char in " '\"$`\\")


@pytest.mark.parametrize(
    "words", [["signal=TERM"], ["unknown=1"], ["timeout="], ["word"], ["timeout=1,5"]]
)
def test_other_words_are_refused(words):
    with pytest.raises((ValueError, AttributeError)):
        read_request(words)
