# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Masks for the secrets of one task in what a host reports: wherever a value stands that must not be shown, and whatever looks like one."""

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

#: Names of options and parameters whose values are never shown, whether or not they are declared
#: so.
_NAMES_SECRET = re.compile(r"(?:pass|passwd|password|passphrase|secret|token)$", re.IGNORECASE)

#: Characters of one value, and values of one task, that are looked for.
_MAX_VALUE_CHARACTERS, _MAX_VALUES = 8192, 256

#: Characters of a secret that has lost its end. Fewer may be the end of any command line; where
#: that was cut off, one is enough.
_MIN_PART_CHARACTERS = 4


def leaves(value: object, name: str = "") -> t.Iterator[tuple[str, str]]:
    """(name, text) of each value in the arguments of a task: the names of those within others are joined by dots."""
    if isinstance(value, t.Mapping):
        for key, one in value.items():
            yield from leaves(one, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for one in value:
            yield from leaves(one, name)
    elif value is not None and not isinstance(value, bool):
        # A vaulted string is no str in some versions of core.
        text = str(value)
        if text.strip():
            # No command line is shown that has room for more of it.
            yield name, text[:_MAX_VALUE_CHARACTERS]


def arguments_of(arguments: object) -> tuple[list[tuple[str, str]], bool]:
    """(what to send along of the arguments of a task, for its masks, those first that are secret by their names; whether that is all of them)."""
    pairs = sorted(leaves(arguments), key=lambda pair: not _NAMES_SECRET.search(pair[0]))
    return pairs[:_MAX_VALUES], len(pairs) <= _MAX_VALUES


def secrets_of_options(options: t.Mapping[str, t.Any]) -> list[str]:
    """The values of a plugin's options that are passwords by their names."""
    return [text for name, text in leaves(options) if _NAMES_SECRET.search(name)]


def secrets_of_arguments(
    arguments: t.Iterable[tuple[str, str]], hidden: t.Collection[str]
) -> list[str]:
    """The values of a task that are not to be shown. `hidden`: the names of parameters that the module declares so, at any depth."""
    return [
        text
        for name, text in arguments
        if _NAMES_SECRET.search(name) or not set(name.split(".")).isdisjoint(hidden)
    ]


@dataclasses.dataclass(frozen=True)
class Masks:
    """What is not to be shown, in each form that it may have on a command line."""

    forms: tuple[str, ...]
    #: Command lines that were masked before: of many processes they are the same.
    _seen: dict[str, str] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_secrets(cls, secrets: t.Iterable[str]) -> Masks:
        """Masks for these secrets, in each form that they may have on a command line."""
        forms = {form for secret in secrets for form in _forms(secret) if form.strip()}
        # The longest first: one secret may be a part of another.
        return cls(tuple(sorted(forms, key=lambda form: (-len(form), form))))

    def concern(self, texts: t.Iterable[str]) -> bool:
        """Whether anything is to be masked by its value."""
        return any(self._values(text, cut=_is_cut(text)) != text for text in set(texts))

    def text(self, text: str) -> str:
        """What was said in words, an error for example."""
        return mask_urls(self._values(text, cut=False))

    def command(self, text: str) -> str:
        """A command line."""
        if text not in self._seen:
            masked = mask_command(self._values(text, cut=_is_cut(text)), cut=_is_cut(text))
            # A value may go over several words.
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
    """Where the beginning of a secret stands at the end of a text, with at least so many characters; the length of the text if it does not."""
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
    """As it is, in one line, quoted for a shell, in a URL, in JSON; of several lines, each that is long enough to tell something."""
    yield secret
    yield secret.strip()
    lines = [line.strip() for line in secret.splitlines()]
    yield " ".join(lines)
    if len(lines) > 1:
        yield from (line for line in lines if len(line) > _MIN_PART_CHARACTERS)
    # What the kill pass of a host without Python makes of all but printable ASCII.
    yield "".join(
        chr(byte) if 32 <= byte < 127 else "?" for byte in secret.encode("utf-8", "surrogatepass")
    )
    yield shlex.quote(secret)
    yield urllib.parse.quote(secret, safe="")
    yield urllib.parse.quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
