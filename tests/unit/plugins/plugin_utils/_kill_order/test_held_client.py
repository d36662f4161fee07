# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client of a pulse has an input that stays open until its process ends."""

import subprocess
import sys

import pytest

#: It plays a plugin that closes the input of its client at once. The client prints what it reads.
KEEPER = """
import subprocess, sys, threading
sys.path[:] = %r
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.held_client import (
    HeldClient,
)

def heard(chunk):
    text.append(chunk)
    if b"up" in chunk:
        client.send("word")
    if b"word" in chunk:
        client.hold(None)
    return b"up" not in chunk

text = []
client = HeldClient(heard)
with subprocess.Popen(["sh", "-c", "read -r line; echo $line; cat"], **%s) as process:
    %s
print(process.returncode, plugin, b"".join(text))
"""

PIPES = "dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)"


def result(arguments: str, plugin: str) -> str:
    """Return what the process prints whose plugin does that."""
    program = KEEPER % (sys.path, arguments, plugin)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    "plugin",
    [
        "plugin = process.communicate(b'up' + bytes([10]))[0]",
        "to = process.stdin; to.write(b'up\\n'); to.close(); plugin = process.stdout.read()",
    ],
    ids=["communicate", "write and close"],
)
def test_the_input_stays_open_and_the_plugin_gets_what_comes_before_the_pulse(plugin: str) -> None:
    """The plugin reads the end of the output when the client has ended."""
    assert result(PIPES, plugin) == r"0 b'up\n' b'up\nword\n'"


def test_a_client_without_pipes_stays_as_it_is() -> None:
    """A plugin may ask its client for its version."""
    arguments = "dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)"
    assert result(arguments, "plugin = process.wait()") == "0 0 b''"
