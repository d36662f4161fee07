# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a command line. Lists of names say which of them have a value.

Only the values that a caller asks for are taken: others may be secrets.
"""

from __future__ import annotations

from collections.abc import Sequence

#: Each option with its value, which is empty for an option without one.
Options = list[tuple[str, str]]


class UnknownOptionError(Exception):
    """The next word may be the value of an option, or a name."""


def read_options(
    words: Sequence[str], valued: str, flags: str | None = None
) -> tuple[Options, list[str]]:
    """Return the options before the first other word with their values, and the words from there.

    Args:
        words: of a command line.
        valued: the options that have a value.
        flags: those that have none. Without this, they are all others.

    Raises:
        UnknownOptionError: an option is neither.
    """
    known = valued.split()
    plain = None if flags is None else flags.split()
    found: Options = []
    at = 0
    while at < len(words):
        word = words[at]
        if word[:1] != "-" or word == "-":
            break
        at += 1
        if word == "--":
            break
        if word[:2] == "--":
            name, equals, value = word.partition("=")
            if not equals and _has_value(name, known, plain):
                value = words[at] if at < len(words) else ""
                at += 1
            found.append((name, value))
            continue
        for place, letter in enumerate(word[1:], 2):
            if not _has_value("-" + letter, known, plain):
                found.append(("-" + letter, ""))
                continue
            value = word[place:]
            if not value:
                value = words[at] if at < len(words) else ""
                at += 1
            found.append(("-" + letter, value))
            break
    return found, [*words[at:]]


def all_options(words: Sequence[str], valued: str) -> tuple[Options, list[str]]:
    """Return the options of a command line and its other words, which stand in any order."""
    options, rest = read_options(words, valued)
    others = []
    while rest:
        others.append(rest[0])
        more, rest = read_options(rest[1:], valued)
        options += more
    return options, others


def _has_value(option: str, valued: Sequence[str], flags: Sequence[str] | None) -> bool:
    if flags is not None and option not in valued and option not in flags:
        raise UnknownOptionError
    return option in valued


def value_of(options: Options, *names: str) -> str:
    """Return the value of the last of these options; empty without one."""
    return next((value for name, value in reversed(options) if name in names), "")


def has_option(options: Options, *names: str) -> bool:
    """Whether one of these options is given, and not set to false."""
    return any(name in names and value != "false" for name, value in options)


def words_of(options: Options, *names: str) -> list[str]:
    """Return these options as words of a command."""
    words = []
    for name, value in options:
        if name in names:
            words += [name, value] if value else [name]
    return words


def values_of(options: Options, *names: str) -> list[str]:
    """Return the values of these options."""
    return [value for name, value in options if name in names]
