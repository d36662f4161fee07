# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The texts that ansible-core hides in all that it shows, from 2.22 on.

They are values from a vault, what a user has typed without an echo, and what a play or a plugin has
registered. Earlier versions hide nothing.
"""

from __future__ import annotations

import importlib
import types

#: What stands for a hidden part. YAML refuses this character, except by its number. Of a text that
#: has it nevertheless, more than the hidden parts is returned.
_GAP = "\ufffe"


def hide(text: str | None) -> None:
    """Have core hide a text in what this process shows.

    Core hides the options of a plugin that are documented as `secret`. Earlier versions of
    ansible-test refuse that word in the documentation of a plugin.
    """
    secrets = _secrets()
    if secrets is not None and text:
        secrets.register_secret(text)


def hidden_parts(text: str) -> list[str]:
    """Return the parts of a text that core hides, in their order."""
    secrets = _secrets()
    if secrets is None:
        return []
    shown = secrets.mask_secrets(text, mask_placeholder=_GAP).split(_GAP)
    if "".join(shown) == text:
        return []
    parts: list[str] = []
    begin = len(shown[0])
    for number, piece in enumerate(shown[1:], 1):
        # A secret may hold the text that follows it. It ends where the part before is hidden whole.
        end = text.find(piece, begin + 1) if number < len(shown) - 1 else len(text) - len(piece)
        while end > begin and secrets.mask_secrets(text[begin:end], mask_placeholder="") != "":
            end = text.find(piece, end + 1)
        if end <= begin:
            # No place fits, and too much is better than too little.
            return [*parts, text[begin:]]
        parts.append(text[begin:end])
        begin = end + len(piece)
    return parts


def _secrets() -> types.ModuleType | None:
    try:
        return importlib.import_module("ansible.module_utils.secrets")
    except ImportError:
        return None
