# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kill request on its way: it arrives as it was sent."""

import ast
import os
import re

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._lease import kill_request
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


def defaults_in(source):
    """Return (name, default) of each option that the source reads with a default."""
    return [
        (ast.literal_eval(node.args[0]), ast.literal_eval(node.args[1]))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and len(node.args) == 2
        and getattr(node.func, "attr", "") == "get"
        and getattr(node.func.value, "attr", "") == "options"
    ]


def test_a_supervisor_has_the_defaults_of_a_request():
    """The controller does not send a word that has its default value."""
    folder = os.path.join(os.path.dirname(kill_request.__file__), "..", "_supervisor")
    found = []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py"):
            with open(os.path.join(folder, name), encoding="utf-8") as source:
                found += defaults_in(source.read())
    usual = vars(KillRequest())
    assert {name for name, dummy in found} >= {"signal", "timeout"}
    assert [(name, value) for name, value in found if usual[name] != value] == []


def test_the_shell_version_of_the_pass_has_the_defaults_of_a_request():
    plugins = os.path.join(os.path.dirname(kill_request.__file__), "..", "..")
    path = os.path.join(plugins, "plugin_utils", "_payload", "kill_pass.sh")
    with open(path, encoding="utf-8") as source:
        line = next(line for line in source if line.startswith("run= lease= "))
    found = dict(re.findall(r"(\w+)=(\d+)", line))
    usual = vars(KillRequest())
    assert set(found) >= {"signal", "timeout", "children", "alone"}
    assert {name: float(value) for name, value in found.items()} == {
        name: float(usual[name]) for name in found
    }
