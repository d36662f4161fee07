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

from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.command_options import (
    has_option,
    read_options,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_off import HandOff
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_offs import (
    CLIENTS,
    hand_off,
)

#: Characters of a text that are searched, and shells within the text of a shell.
_MAX_CHARACTERS, _MAX_SHELLS = 8192, 3

#: Words before a command, with their options that have a value.
_BEFORE = {
    "sudo": "-u -g -p -C -r -t -U -T -D -R -h --user --group --prompt --close-from --role --type"
    " --other-user --command-timeout --chdir --chroot --host",
    "doas": "-u -C",
    "pkexec": "--user",
    "runuser": "-u -g -G -w --user --group --supp-group --whitelist-environment",
    "env": "-u -C -S --unset --chdir --split-string",
    "nice": "-n --adjustment",
    "ionice": "-c -n --class --classdata",
    "timeout": "-k -s --kill-after --signal",
    "stdbuf": "-i -o -e --input --output --error",
    "flock": "-w -E --wait --timeout --conflict-exit-code",
    "chroot": "",
    "taskset": "",
    "chrt": "-T -P -D",
    "xargs": "-a -d -E -I -L -n -P -s --arg-file --delimiter --max-lines --max-args --max-procs"
    " --max-chars",
    "systemd-inhibit": "",
    "nohup": "",
    "setsid": "",
    "exec": "-a",
    "time": "-o -f --output --format",
    "command": "",
    "coproc": "",
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
#: Those of them with one more word before the command: a time, a file or a directory.
_WITH_WORD = ("timeout", "flock", "chroot", "taskset", "chrt")
#: Options of shells with a value.
_OF_SHELL = "-o -O --rcfile --init-file"
#: Variables that lead a client to another daemon.
_PLACES = ("DOCKER_HOST", "DOCKER_CONTEXT", "CONTAINER_HOST", "CONTAINER_CONNECTION", "KUBECONFIG")
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
#: What `_without_substitutions` stops at.
_STOP = re.compile(r"""\\.|['"]|\$\(|[()`]|(?<![^\s;&|(])#[^\n]*""", re.DOTALL)
_QUOTES = ("'", '"')
_END_OF = {"'": "'", '"': '"', "`": "`", "(": ")", "$(": ")"}
#: Stands for the output of a command in a word.
_SUBSTITUTED = "\0"

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


def places_in(arguments: t.Sequence[tuple[str, str]]) -> list[str]:
    """Return the variables in the text of a task that lead its clients to another daemon."""
    texts = [value for name, value in arguments if name in _TEXTS or name == "argv"]
    return [name for name in _PLACES if any(re.search(rf"\b{name}\+?=", one) for one in texts)]


def commands_in(text: str, depth: int = 0) -> t.Iterator[list[str]]:
    """Yield the words of each client in the text of a shell, without redirections.

    Text in quotes is not searched, except that of another shell, and commands whose output the text
    takes. Variables are left as they are written.
    """
    # Cut off, a text may end in the middle of a quotation.
    text = _HERE_DOCUMENT.sub(r" \3", text[:_MAX_CHARACTERS])
    text, inner = _without_substitutions(text)
    if depth < _MAX_SHELLS:
        for one in inner:
            yield from commands_in(one, depth + 1)
    words: list[str] = []
    for token in _TOKEN.finditer(text + "\n"):
        if token["end"] is not None:
            yield from _clients_in(words, depth)
            words = []
        elif token["word"] is not None:
            word = _QUOTED.sub(_unquoted, token["word"])
            words.append(word.replace(_SUBSTITUTED, "$(...)"))


def _without_substitutions(text: str) -> tuple[str, list[str]]:
    """Return a text without `$(...)` and backquotes, and the texts in these.

    A mark stands in their place: they give a part of a word, or some words.
    """
    outside: list[str] = []
    inside: list[str] = []
    # The marks that are open. How many of them are around the outermost substitution, and where
    # that began.
    opened: list[str] = []
    around, began, at = -1, 0, 0
    while (stop := _STOP.search(text, at)) is not None:
        mark, last = stop[0], opened[-1] if opened else ""
        if around < 0:
            outside.append(text[at : stop.start()])
        at = stop.end()
        if (last == "'" and mark[0] in "\\#") or (last == '"' and mark[0] == "#"):
            # An ordinary character.
            mark, at = mark[0], stop.start() + 1
        if last and mark == _END_OF[last]:
            opened.pop()
            if len(opened) == around:
                inside.append(text[began : stop.start()])
                around = -1
                continue
        elif mark in ("$(", "`") and last != "'" or mark in ("'", '"', "(") and last not in _QUOTES:
            opened.append(mark)
            if around < 0 and mark in ("$(", "`"):
                outside.append(_SUBSTITUTED)
                around, began = len(opened) - 1, at
        if around < 0:
            outside.append(text[stop.start() : at])
    (outside if around < 0 else inside).append(text[at if around < 0 else began :])
    return "".join(outside), inside


def _clients_in(words: t.Sequence[str], depth: int) -> t.Iterator[list[str]]:
    at = 0
    # xargs adds words of its input.
    added = list[str]()
    while at < len(words):
        name = _base(words[at])
        if name in CLIENTS:
            yield [*words[at:], *added]
            return
        text = _text_of(name, words[at + 1 :])
        if text:
            if depth < _MAX_SHELLS:
                yield from commands_in(text, depth + 1)
            return
        if name in _BEFORE:
            options, rest = read_options(words[at + 1 :], _BEFORE[name])
            if name == "command" and has_option(options, "-v", "-V"):
                return  # it only asks whether there is such a program
            at = len(words) - len(rest) + (name in _WITH_WORD)
            added += ["..."] if name == "xargs" and not has_option(options, "-I") else []
        elif _ASSIGNMENT.match(words[at]):
            at += 1
        else:
            return


def _text_of(name: str, words: t.Sequence[str]) -> str:
    """Return the text that a program gives to a shell; empty without one.

    words: behind its name.
    """
    if name == "eval":
        return " ".join(words)
    if name.endswith("sh"):
        options, rest = read_options(words, _OF_SHELL)
        return rest[0] if rest and has_option(options, "-c") else ""
    if name == "flock":
        dummy, rest = read_options(words, _BEFORE[name])
        return rest[2] if rest[1:2] in (["-c"], ["--command"]) and rest[2:] else ""
    if name not in ("su", "runuser") or has_option(
        read_options(words, _BEFORE["runuser"])[0], "-u", "--user"
    ):
        return ""
    # Options stand behind the user as well.
    for at, word in enumerate(words[:-1]):
        if word == "--command" or (word[:2] != "--" and word[:1] == "-" and word[-1] == "c"):
            return words[at + 1]
    return next((word[10:] for word in words if word.startswith("--command=")), "")


def _base(word: str) -> str:
    return word.rpartition("/")[2]


def _unquoted(found: re.Match[str]) -> str:
    single, double, character = found.groups()
    if single is not None:
        return str(single)
    return re.sub(r"\\(.)", r"\1", double, flags=re.DOTALL) if double is not None else character
