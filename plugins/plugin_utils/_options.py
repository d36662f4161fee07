# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kill options of a lease: read from where ansible-core reads options, checked, and made into one value.

This file is private to the collection treekill.remote.
"""

from __future__ import annotations

import dataclasses
import math
import re
import signal
import typing as t

import yaml
from ansible import constants as C
from ansible.errors import AnsibleOptionsError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.treekill.remote.plugins.doc_fragments.kill import ModuleDocFragment

_REGISTERED_AS = ("callback", "treekill.remote.kill_options")
"""Plugin type and name under which ansible-core is told the options' sources.

Not the callback's own name: core would then convert the values, and it takes any word for a boolean (C(maybe) is false) and
words its errors differently in each version. Here everything arrives as text and is converted below."""

_DEFINITIONS: dict[str, t.Any] = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]

_SOURCES = {option: {key: definition[key] for key in ("default", "env", "ini", "vars")} | {"type": "str"} for option, definition in _DEFINITIONS.items()}

VARIABLES: dict[str, str] = {entry["name"]: name for name, option in _DEFINITIONS.items() for entry in option["vars"]}
"""Which variable sets which option, such as treekill_kill_timeout: kill_timeout."""


@dataclasses.dataclass(frozen=True)
class KillOptions:
    """How a tree is to be ended, and what is guarded. Times in seconds, signals as numbers."""

    signal: int
    children: bool
    children_signal: int
    timeout: float
    wait: bool
    retry_for: float
    end_async: bool
    supervise: bool
    keep_on_disconnect: bool
    track: str

    @classmethod
    def parse(cls, values: t.Mapping[str, object]) -> KillOptions:
        """From option names and values as they were written.

        Raises:
            AnsibleOptionsError: a value that is not allowed; the text names the option and what is.
        """
        return cls(
            signal=_signal("kill_signal", values["kill_signal"]),
            children=_truth("kill_children", values["kill_children"]),
            children_signal=_signal("kill_children_signal", values["kill_children_signal"]),
            timeout=_seconds("kill_timeout", values["kill_timeout"]),
            wait=_truth("kill_wait", values["kill_wait"]),
            retry_for=_seconds("kill_retry_for", values["kill_retry_for"]),
            end_async=_truth("kill_async", values["kill_async"]),
            supervise=_truth("supervise", values["supervise"]),
            keep_on_disconnect=_choice("on_disconnect", values["on_disconnect"]) == "keep",
            track=_choice("track", values["track"]),
        )


def resolve(variables: t.Mapping[str, t.Any] | None = None, arguments: t.Mapping[str, t.Any] | None = None) -> KillOptions:
    """The options in force: task arguments before variables, environment, ansible.cfg and the default.

    Args:
        variables: templated values by variable name; other names than those of `VARIABLES` are not looked at.
        arguments: option names and values that a task gave as its own arguments; None counts as not given.

    Raises:
        AnsibleOptionsError: a value of the wrong type or range; the text names the option and the allowed values.
    """
    plugin_type, name = _REGISTERED_AS
    if not C.config.get_configuration_definitions(plugin_type, name):
        C.config.initialize_plugin_configuration_definitions(plugin_type, name, _SOURCES)
    given = {option: str(value) for option, value in (arguments or {}).items() if value is not None}
    # Values are made text before core sees them: it refuses a number where a string is declared in some versions only.
    written = {variable: str(value) for variable, value in (variables or {}).items() if variable in VARIABLES and value is not None}
    return KillOptions.parse(
        {option: C.config.get_config_value(option, plugin_type=plugin_type, plugin_name=name, variables=written, direct=given) for option in _SOURCES}
    )


def _refusal(option: str, value: object, allowed: str) -> AnsibleOptionsError:
    return AnsibleOptionsError(f"treekill option {option}: {str(value)!r} is not allowed. Allowed: {allowed}.")


def _signal(option: str, value: object) -> int:
    text = str(value).strip().upper().removeprefix("SIG")
    named = signal.Signals.__members__.get(f"SIG{text}")
    if named:
        return int(named)
    if re.fullmatch("[0-9]{1,3}", text) and int(text) in signal.valid_signals():
        return int(text)
    known = ", ".join(sorted(name.removeprefix("SIG") for name in signal.Signals.__members__))
    raise _refusal(option, value, f"{known}, with or without SIG, or the number of a signal")


def _seconds(option: str, value: object) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0:
        raise _refusal(option, value, "a number of seconds, 0 or more")
    return seconds


def _truth(option: str, value: object) -> bool:
    try:
        return bool(boolean(str(value)))
    except TypeError:
        raise _refusal(option, value, "true or false") from None


def _choice(option: str, value: object) -> str:
    choices = _DEFINITIONS[option]["choices"]
    text = str(value).strip().lower()
    if text not in choices:
        raise _refusal(option, value, ", ".join(choices))
    return text
