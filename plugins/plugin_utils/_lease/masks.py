# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Masks for the secrets of one task in the reports of hosts.

They hide each value that must not be shown, and everything that looks like one.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import typing as t
import urllib.parse

from ansible_collections.treekill.remote.plugins.module_utils._process.masked_words import (
    MASK,
    mask_command,
    mask_urls,
)
from ansible_collections.treekill.remote.plugins.module_utils._tree.control import (
    COMMAND_CHARACTERS,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._core.core_secrets import hidden_parts

#: Names of options and parameters whose values are never shown, declared no_log or not.
_NAMES_SECRET = re.compile(r"(?:pass|passwd|password|passphrase|secret|token)$", re.IGNORECASE)

#: Limits for the values of one task: characters of each, and how many of them.
_MAX_VALUE_CHARACTERS, _MAX_VALUES = 8192, 256

#: Characters of a secret that has lost its end. A shorter text may be the end of any command line.
#: One is enough if the command line was cut off.
_MIN_PART_CHARACTERS = 4


def leaves(value: object, name: str = "") -> t.Iterator[tuple[str, str]]:
    """Yield (name, text) of each value in the arguments of a task.

    Dots join the names of nested values.
    """
    if isinstance(value, t.Mapping):
        for key, one in value.items():
            yield from leaves(one, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for one in value:
            yield from leaves(one, name)
    elif value is not None and not isinstance(value, bool):
        # In some versions of core a vaulted string is no str.
        text = str(value)
        if text.strip():
            # No command line that is shown has room for more of it.
            yield name, text[:_MAX_VALUE_CHARACTERS]


def arguments_of(arguments: object) -> tuple[list[tuple[str, str]], bool]:
    """Return the arguments that the masks of a task need, and whether none of these is left out.

    Values whose names look secret come first. So do the parts of others that core hides: such a
    part has the name `secret`.
    """
    pairs = list(leaves(arguments))
    hidden = {part for dummy, text in pairs for part in hidden_parts(text)}
    pairs += [("secret", part) for part in sorted(hidden)]
    pairs.sort(key=lambda pair: not _NAMES_SECRET.search(pair[0]))
    return pairs[:_MAX_VALUES], len(pairs) <= _MAX_VALUES


def secrets_of_options(options: t.Mapping[str, t.Any]) -> list[str]:
    """Return the values of a plugin's options whose names look secret."""
    return [text for name, text in leaves(options) if _NAMES_SECRET.search(name)]


def secrets_of_arguments(
    arguments: t.Iterable[tuple[str, str]], hidden: t.Collection[str]
) -> list[str]:
    """Return the secret values of a task.

    `hidden`: the names of parameters that the module declares secret, at any depth.
    """
    return [
        text
        for name, text in arguments
        if _NAMES_SECRET.search(name) or not set(name.split(".")).isdisjoint(hidden)
    ]


@dataclasses.dataclass(frozen=True)
class Masks:
    """Masks of secrets, in each form that a secret may have on a command line."""

    forms: tuple[str, ...]
    #: Masked command lines. Many processes have equal ones.
    _seen: dict[str, str] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_secrets(cls, secrets: t.Iterable[str]) -> Masks:
        """Return masks for these secrets, in each form that they may have on a command line."""
        forms = {form for secret in secrets for form in _forms(secret) if form.strip()}
        # The longest first: one secret may be a part of another.
        return cls(tuple(sorted(forms, key=lambda form: (-len(form), form))))

    def concern(self, texts: t.Iterable[str]) -> bool:
        """Whether any of the texts holds a secret."""
        return any(self._values(text, cut=_is_cut(text)) != text for text in set(texts))

    def text(self, text: str) -> str:
        """Return a text for people, such as an error, with its secrets masked."""
        return mask_urls(self._values(text, cut=False))

    def command(self, text: str) -> str:
        """Return a command line with its secrets masked."""
        if text not in self._seen:
            masked = mask_command(self._values(text, cut=_is_cut(text)), cut=_is_cut(text))
            # A value may extend over several words.
            self._seen[text] = self._values(masked, cut=_is_cut(text)) if "\0" in text else masked
        return self._seen[text]

    def _values(self, text: str, cut: bool) -> str:
        for form in self.forms:
            text = text.replace(form, MASK)
            if " " in form and "\0" in text:
                text = text.replace(form.replace(" ", "\0"), MASK)
        ends = [_end_of(text, form, 1 if cut else _MIN_PART_CHARACTERS) for form in self.forms]
        return text[: min(ends)] + MASK if ends and min(ends) < len(text) else text


def _end_of(text: str, form: str, least: int) -> int:
    """Return the position of a cut-off secret at the end of a text; the text's length without one.

    `least`: how many characters of the secret must be there.
    """
    at = text.find(form[0], max(0, len(text) - len(form) + 1))
    while 0 <= at <= len(text) - least:
        if form.startswith(text[at:]):
            return at
        at = text.find(form[0], at + 1)
    return len(text)


def _is_cut(command: str) -> bool:
    """Whether a host may have left out the end of a command line."""
    return len(command) >= COMMAND_CHARACTERS


def _forms(secret: str) -> t.Iterator[str]:
    """Yield the forms of a secret.

    It may be unchanged, in one line, quoted for a shell, in a URL, or in JSON. Of several lines,
    each one is a form that is long enough to reveal something.
    """
    yield secret
    yield secret.strip()
    lines = [line.strip() for line in secret.splitlines()]
    yield " ".join(lines)
    if len(lines) > 1:
        yield from (line for line in lines if len(line) > _MIN_PART_CHARACTERS)
    # The kill pass of a host without Python replaces all but printable ASCII so.
    yield "".join(
        chr(byte) if 32 <= byte < 127 else "?" for byte in secret.encode("utf-8", "surrogatepass")
    )
    yield shlex.quote(secret)
    yield urllib.parse.quote(secret, safe="")
    yield urllib.parse.quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
