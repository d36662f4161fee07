# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reason why a run lacks the callback of this collection, as its configuration shows it.

For other plugins of the collection, which notice that the callback is missing.

ANSIBLE_CALLBACKS_ENABLED replaces the line of ansible.cfg and does not add to it. Templates of CI
services set it for another callback.
"""

from __future__ import annotations

import configparser
import os
import sys

from ansible import constants as C

CALLBACK = "treekill.remote.guardian"

#: Keys of section defaults that list callbacks: the current one, and those of earlier versions of
#: core.
_LISTS = ("callbacks_enabled", "callback_whitelist", "callback_enabled")

_SINGLE_TASKS = ("ansible", "ansible-console")

_VARIABLES = ("ANSIBLE_CALLBACKS_ENABLED", "ANSIBLE_CALLBACK_WHITELIST")


class _Declined:
    """Whether the callback is loaded and the user has switched it off.

    For this process and its forks.
    """

    declined = False


def decline(whether: bool) -> None:
    """Record whether the run as a whole is not to be guarded."""
    _Declined.declined = whether


def explanation() -> str:
    """Return one sentence for the user on why only some tasks of this run are guarded."""
    if _Declined.declined:
        return f"The callback {CALLBACK} guards nothing, since track is none for the run"
    return misconfiguration() or (
        f"The callback {CALLBACK} is not enabled: set callbacks_enabled = {CALLBACK} in ansible.cfg"
    )


def misconfiguration() -> str:
    """Return evidence that the callback was to be enabled, and why it is not.

    Empty without such evidence, and where the user has switched the callback off.
    """
    path = str(getattr(C, "CONFIG_FILE", None) or "")
    variable = next((name for name in _VARIABLES if os.environ.get(name)), "")
    replaced = bool(variable) and CALLBACK not in _words(os.environ[variable])
    try:
        named, section = _read(path)
    except (configparser.Error, OSError, UnicodeDecodeError):
        named, section = False, False
    if _Declined.declined:
        return ""
    if named and replaced:
        return (
            f"{path} enables the callback {CALLBACK}, and {variable}={os.environ[variable]}"
            f" in the environment replaces that line. Add {CALLBACK} to the variable"
        )
    if named or variable and not replaced:
        return _not_loaded()
    if section:
        return (
            f"{path} has a section [treekill], and the callback {CALLBACK} is not enabled:"
            f" add it to {variable or 'callbacks_enabled'}"
        )
    return ""


def _read(path: str) -> tuple[bool, bool]:
    """Whether a configuration file names the callback, and whether it has the section treekill."""
    parser = configparser.ConfigParser(inline_comment_prefixes=(";",), interpolation=None)
    parser.read(path, encoding="utf-8")
    lists = [_words(parser.get("defaults", key, fallback="")) for key in _LISTS]
    return any(CALLBACK in names for names in lists), parser.has_section("treekill")


def _not_loaded() -> str:
    """Return why an enabled callback is not loaded.

    The commands ansible and ansible-console load callbacks only with a separate setting.
    """
    program = os.path.basename(sys.argv[0])
    if program not in _SINGLE_TASKS or getattr(C, "DEFAULT_LOAD_CALLBACK_PLUGINS", True):
        return ""
    return (
        f"The callback {CALLBACK} is enabled, and {program} loads it only with"
        " ANSIBLE_LOAD_CALLBACK_PLUGINS=1"
    )


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.replace("\n", ",").split(",")]
