# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hand-offs of a task by the text of its command: clients that have returned by now.

A client that returns at once (`at`, `docker run -d`) has ended when its tree is found. Only the
text shows it, and the text does not show whether that part of it has begun.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_offs import (
    CLIENTS,
    HandOff,
    hand_off,
)

#: Characters of a text that are searched, and shells within the text of a shell.
_MAX_CHARACTERS, _MAX_SHELLS = 8192, 3

#: Words before a command, with the letters of their options that have a value.
_BEFORE = {
    "sudo": "ugpCrtUDThR",
    "doas": "uC",
    "env": "uCS",
    "nice": "n",
    "ionice": "cn",
    "timeout": "ks",
    "stdbuf": "ioe",
    "nohup": "",
    "setsid": "",
    "exec": "a",
    "time": "of",
    "command": "",
    "if": "",
    "then": "",
    "else": "",
    "elif": "",
    "while": "",
    "until": "",
    "do": "",
    "!": "",
    "{": "",
}
_WORD = r"""(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\s;&|()<>`'"\\])+"""
_TOKEN = re.compile(
    r"\\\n|[ \t\r]+|#[^\n]*"
    rf"|\d*[<>]+&?[ \t]*(?:{_WORD})?"
    rf"|(?P<end>[\n;&|()`]+)|(?P<word>{_WORD})|.",
    re.DOTALL,
)
_QUOTED = re.compile(r"""'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)""", re.DOTALL)
_HERE_DOCUMENT = re.compile(
    r"""<<-?[ \t]*(['"]?)(\w{1,64})\b\1([^\n]*)\n(?:.*?\n)??[ \t]*\2[ \t]*(?=\n|$)""", re.DOTALL
)
_ASSIGNMENT = re.compile(r"\w+\+?=")

#: Arguments of tasks that hold a command: those of command, shell and raw.
_TEXTS = frozenset({"_raw_params", "cmd"})


def hints(arguments: t.Sequence[tuple[str, str]]) -> list[HandOff]:
    """Return what a task may have handed to others.

    `arguments`: (name, value) of each argument of the task.
    """
    commands = [
        command for name, value in arguments if name in _TEXTS for command in commands_in(value)
    ]
    words = [value for name, value in arguments if name == "argv"]
    commands += _clients_in(words, 0) if words else ()
    found = []
    for command in commands:
        one = hand_off(command)
        if one is not None and one.at_once:
            found.append(one)
    return found


def commands_in(text: str, depth: int = 0) -> t.Iterator[list[str]]:
    """Yield the words of each client in the text of a shell, without redirections.

    Text in quotes is not searched, except that of another shell. Variables are left as they are
    written.
    """
    # Cut off, a text may end in the middle of a quotation.
    text = _HERE_DOCUMENT.sub(r" \3", text[:_MAX_CHARACTERS])
    words: list[str] = []
    for token in _TOKEN.finditer(text + "\n"):
        if token["end"] is not None:
            yield from _clients_in(words, depth)
            words = []
        elif token["word"] is not None:
            words.append(_QUOTED.sub(_unquoted, token["word"]))


def _clients_in(words: t.Sequence[str], depth: int) -> t.Iterator[list[str]]:
    at = 0
    while at < len(words):
        name = _base(words[at])
        if name in CLIENTS:
            yield [*words[at:]]
            return
        if name in _BEFORE:
            at = _behind_options(words, at + 1, _BEFORE[name]) + (name == "timeout")
        elif _ASSIGNMENT.match(words[at]):
            at += 1
        else:
            if name.endswith("sh") and depth < _MAX_SHELLS:
                yield from commands_in(_text_of(words[at:]), depth + 1)
            return


def _behind_options(words: t.Sequence[str], at: int, valued: str) -> int:
    while at < len(words) and words[at].startswith("-") and words[at] != "-":
        at += 2 if not words[at].startswith("--") and words[at][-1] in valued else 1
    return at


def _text_of(words: t.Sequence[str]) -> str:
    """Return the text that a shell gets by `-c`; empty without one."""
    for at, word in enumerate(words[1:-1], 1):
        if not word.startswith("-"):
            break
        if not word.startswith("--") and word.endswith("c"):
            return words[at + 1]
    return ""


def _base(word: str) -> str:
    return word.rpartition("/")[2]


def _unquoted(found: re.Match[str]) -> str:
    single, double, character = found.groups()
    if single is not None:
        return str(single)
    return re.sub(r"\\(.)", r"\1", double, flags=re.DOTALL) if double is not None else character
