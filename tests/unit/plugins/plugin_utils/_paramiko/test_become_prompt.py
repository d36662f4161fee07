# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Become is followed to its end, wherever the host's words are cut into pieces.

No real host cuts them on demand.
"""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleError
from ansible.plugins.loader import become_loader
from ansible_collections.treekill.remote.plugins.plugin_utils._paramiko.become_prompt import (
    Escalation,
)

CMD = "sudo -p '[sudo via ansible, key=abc] password:' /bin/sh -c 'echo BECOME-SUCCESS-abc ; id'"


@pytest.fixture
def escalation() -> Escalation:
    become = become_loader.get("sudo")
    become.set_options(direct={"become_pass": "secret"})
    become.prompt, become.success = "[sudo via ansible, key=abc] password:", "BECOME-SUCCESS-abc"
    return Escalation(become, CMD)


@pytest.mark.parametrize("size", [1, 2, 7, 40, 1000])
def test_one_answer_is_given_and_the_output_is_the_commands_own(
    escalation: Escalation, size: int
) -> None:
    told = (
        b"Some lecture.\r\n[sudo via ansible, key=abc] password:\r\nBECOME-SUCCESS-abc\r\nroot\r\n"
        b"BECOME-SUCCESS-abc and more"
    )
    output, answers = b"", 0
    for start in range(0, len(told), size):
        piece, answer = escalation.feed(told[start : start + size], from_stdout=True)
        output += piece
        answers += answer
    assert escalation.over
    assert answers == 1
    assert (
        output + escalation.rest(from_stdout=True)
        == b"Some lecture.\r\nroot\r\nBECOME-SUCCESS-abc and more"
    )


def test_the_prompt_may_come_on_the_other_stream(escalation: Escalation) -> None:
    assert escalation.feed(b"[sudo via ansible, key=abc] password:", from_stdout=False) == (
        b"",
        True,
    )
    assert escalation.feed(b"BECOME-SUCCESS-abc\nroot\n", from_stdout=True) == (b"root\n", False)
    assert escalation.over


def test_half_a_line_of_the_other_stream_is_not_lost(escalation: Escalation) -> None:
    assert escalation.feed(b"half ", from_stdout=False) == (b"", False)
    escalation.feed(b"BECOME-SUCCESS-abc\n", from_stdout=True)
    assert escalation.feed(b"a line\n", from_stdout=False) == (b"half a line\n", False)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (b"\r\nSorry, try again.\r\n", "Incorrect sudo password"),
        (b"\r\n[sudo via ansible, key=abc] password:", "Incorrect sudo password"),
        (b"sudo: a password is required\r\n", "Missing sudo password"),
    ],
)
def test_a_refusal_is_an_error_in_the_words_of_core(
    escalation: Escalation, words: bytes, error: str
) -> None:
    escalation.feed(b"[sudo via ansible, key=abc] password:", from_stdout=True)
    with pytest.raises(AnsibleError, match=error):
        escalation.feed(words, from_stdout=True)


def test_a_command_that_was_not_built_inside_become_is_not_waited_for(
    escalation: Escalation,
) -> None:
    plain = Escalation(escalation._become, "mkdir /tmp/x")
    assert plain.over
    assert plain.feed(b"Sorry, try again.\n", from_stdout=True) == (b"Sorry, try again.\n", False)
