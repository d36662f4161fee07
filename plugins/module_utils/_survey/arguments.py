# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Arguments of the modules that more than one of them has."""

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

#: The options by which a module ends processes. The fragment kill.modules documents them.
KILL_ARGUMENTS: "Dict[str, Dict[str, Any]]" = {
    "kill_signal": {"type": "str", "default": "TERM"},
    "kill_children": {"type": "bool", "default": True},
    "kill_children_signal": {"type": "str", "default": "TERM"},
    "kill_mode": {"type": "str", "choices": ["mixed", "tree"], "default": "mixed"},
    "kill_timeout": {"type": "float", "default": 10},
    "finish": {"type": "bool", "default": True},
    "finish_programs": {"type": "list", "elements": "str"},
    "finish_modules": {"type": "list", "elements": "str"},
    "finish_timeout": {"type": "float", "default": 600},
    "arguments": {"type": "bool", "default": True},
}

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds_of_age(text: "Optional[str]") -> "Optional[float]":
    """Return the seconds of an age such as C(2d), as ansible.builtin.find takes it; None for None.

    Raises ValueError for a text that is no age, and for a negative one.
    """
    if text is None:
        return None
    found = re.match(r"([0-9]+(?:\.[0-9]+)?)([smhdw]?)$", text.strip().lower())
    if found is None:
        raise ValueError(
            "%r is no age: it is a number of seconds, or a number with s, m, h, d or w" % text
        )
    return float(found.group(1)) * _SECONDS[found.group(2)]


def former_name(name: str) -> "Dict[str, Any]":
    """Return the part of an argument spec for an option that had another name."""
    deprecation = {"name": name, "version": "3.0.0", "collection_name": "treekill.remote"}
    return {"aliases": [name], "deprecated_aliases": [deprecation]}
