# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a run and of a lease: read from ansible-core, checked, made into one value."""

from __future__ import annotations

import dataclasses
import math
import os
import re
import signal
import typing as t

import yaml
from ansible import constants as C
from ansible.errors import AnsibleOptionsError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.treekill.remote.plugins.doc_fragments.kill import ModuleDocFragment
from ansible_collections.treekill.remote.plugins.doc_fragments.record import (
    ModuleDocFragment as RecordFragment,
)

#: Plugin type under which ansible-core is given the options' sources.
#:
#: The name beside it is not the callback's own. If it were, core would convert the values: it takes
#: any word for a boolean (C(maybe) is false), and its errors differ in each version. Here every
#: value arrives as text and is converted below.
_REGISTERED_AS = "callback"


class _OptionFamily:
    """Options that are documented and read together.

    `variables` maps the name of a variable to its option, such as treekill_kill_timeout to
    kill_timeout.
    """

    def __init__(self, name: str, documentation: str) -> None:
        self.definitions: dict[str, t.Any] = yaml.safe_load(documentation)["options"]
        self.variables: dict[str, str] = {
            entry["name"]: option
            for option, definition in self.definitions.items()
            for entry in definition["vars"]
        }
        self._name = name

    def values(
        self,
        variables: t.Mapping[str, t.Any] | None,
        arguments: t.Mapping[str, t.Any] | None = None,
    ) -> dict[str, object]:
        """Return each option as written in the source that takes precedence."""
        if not C.config.get_configuration_definitions(_REGISTERED_AS, self._name):
            C.config.initialize_plugin_configuration_definitions(
                _REGISTERED_AS, self._name, self._sources()
            )
        given = {
            option: str(value) for option, value in (arguments or {}).items() if value is not None
        }
        # Core gets values as text: some versions refuse a number where a string is declared.
        written = {
            variable: str(value)
            for variable, value in (variables or {}).items()
            if variable in self.variables and value is not None
        }
        return {
            option: C.config.get_config_value(
                option,
                plugin_type=_REGISTERED_AS,
                plugin_name=self._name,
                variables=written,
                direct=given,
            )
            for option in self.definitions
        }

    def _sources(self) -> dict[str, t.Any]:
        return {
            option: {
                **{key: definition[key] for key in ("env", "ini", "vars")},
                "type": "str",
                # A list is text with commas.
                "default": ",".join(definition["default"])
                if definition["type"] == "list"
                else definition["default"],
            }
            for option, definition in self.definitions.items()
        }


_KILL = _OptionFamily("treekill.remote.kill_options", ModuleDocFragment.DOCUMENTATION)

# The other two families apply to the whole run: no task reads them, and of variables only extra
# variables count.
_RECORD = _OptionFamily("treekill.remote.record_options", RecordFragment.DOCUMENTATION)
_AFTER = _OptionFamily("treekill.remote.after_options", ModuleDocFragment.AFTER_KILL)

VARIABLES = _KILL.variables
RECORD_VARIABLES = _RECORD.variables
AFTER_VARIABLES = _AFTER.variables

_BYTES_PER_MEGABYTE = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class KillOptions:
    """The settings for ending a tree, and for guarding it. Times in seconds, signals as numbers.

    `alone`: whether a program that handles the signal gets it before the processes that it has
    started.
    """

    signal: int
    children: bool
    children_signal: int
    alone: bool
    timeout: float
    wait: bool
    retry_for: float
    end_async: bool
    supervise: bool
    keep_on_disconnect: bool
    track: str

    @classmethod
    def parse(cls, values: t.Mapping[str, object]) -> KillOptions:
        """Return the options from names and values as the user wrote them.

        Raises:
            AnsibleOptionsError: a value is not allowed; the text names the option and the allowed
                values.
        """
        return cls(
            signal=_signal("kill_signal", values["kill_signal"]),
            children=_truth("kill_children", values["kill_children"]),
            children_signal=_signal("kill_children_signal", values["kill_children_signal"]),
            alone=_choice("kill_mode", values["kill_mode"]) == "mixed",
            timeout=_seconds("kill_timeout", values["kill_timeout"]),
            wait=_truth("kill_wait", values["kill_wait"]),
            retry_for=_seconds("kill_retry_for", values["kill_retry_for"]),
            end_async=_truth("kill_async", values["kill_async"]),
            supervise=_truth("supervise", values["supervise"]),
            keep_on_disconnect=_choice("on_disconnect", values["on_disconnect"]) == "keep",
            track=_choice("track", values["track"]),
        )


@dataclasses.dataclass(frozen=True)
class RecordOptions:
    """The records of a run, and their places. The default of each field means no record."""

    #: Absolute; empty for no report. See `path_for` in `_records/report_file.py`.
    report_path: str = ""
    #: Absolute; empty for no journal.
    journal_path: str = ""
    journal_days: float = 0.0
    #: Bytes.
    journal_size: int = 0

    @classmethod
    def parse(cls, values: t.Mapping[str, object]) -> RecordOptions:
        """Return the options from names and values as the user wrote them.

        Raises AnsibleOptionsError as `KillOptions.parse` does.
        """
        return cls(
            report_path=_path(values["report_path"]),
            journal_path=_path(values["journal_path"]),
            journal_days=_number(
                "journal_days", values["journal_days"], "a number of days, 0 or more"
            ),
            journal_size=int(
                _number("journal_size", values["journal_size"], "a number of megabytes, 0 or more")
                * _BYTES_PER_MEGABYTE
            ),
        )


def resolve_records(variables: t.Mapping[str, t.Any] | None = None) -> RecordOptions:
    """Return the record options in force.

    Extra variables come before environment, ansible.cfg and the default. Raises AnsibleOptionsError
    as `resolve` does.
    """
    return RecordOptions.parse(_RECORD.values(variables))


@dataclasses.dataclass(frozen=True)
class AfterOptions:
    """The files to run after the kill, and their limit in seconds.

    These options apply to the whole run. No host, play or task has others.
    """

    files: tuple[str, ...]
    timeout: float


def resolve_after(variables: t.Mapping[str, t.Any] | None = None) -> AfterOptions:
    """Return the after_kill options in force.

    Extra variables come before environment, ansible.cfg and the default. Raises AnsibleOptionsError
    as `resolve` does.
    """
    texts = {
        name: ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        for name, value in (variables or {}).items()
    }
    written = _AFTER.values(texts)
    files = tuple(
        name.strip() for name in re.split("[,\n]", str(written["after_kill"])) if name.strip()
    )
    return AfterOptions(files, _seconds("after_kill_timeout", written["after_kill_timeout"]))


def resolve(
    variables: t.Mapping[str, t.Any] | None = None, arguments: t.Mapping[str, t.Any] | None = None
) -> KillOptions:
    """Return the kill options in force.

    Task arguments come before variables, environment, ansible.cfg and the default.

    Args:
        variables: templated values by variable name. Names outside `VARIABLES` are ignored.
        arguments: option names and values from the task's own arguments; None counts as not given.

    Raises:
        AnsibleOptionsError: a value has the wrong type or range. The text names the option and the
            allowed values.
    """
    return KillOptions.parse(_KILL.values(variables, arguments))


def _refusal(option: str, value: object, allowed: str) -> AnsibleOptionsError:
    return AnsibleOptionsError(
        f"treekill option {option}: {str(value)!r} is not allowed. Allowed: {allowed}."
    )


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
    return _number(option, value, "a number of seconds, 0 or more")


def _number(option: str, value: object, allowed: str) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise _refusal(option, value, allowed)
    return number


def _path(value: object) -> str:
    """Return the absolute path, with C(~) and environment variables expanded.

    A separator at the end stays: it marks a directory.
    """
    text = "" if value is None else str(value).strip()
    if not text or text.lower() == "none":
        return ""
    if text == _RECORD.definitions["journal_path"]["default"]:
        # Core expands its home in the defaults of its own options alone.
        text = str(C.config.get_config_value("ANSIBLE_HOME")) + text.removeprefix("~/.ansible")
    path = os.path.expanduser(os.path.expandvars(text))
    return os.path.abspath(path) + (os.sep if path.endswith(os.sep) else "")


def _truth(option: str, value: object) -> bool:
    try:
        return bool(boolean(str(value)))
    except TypeError:
        raise _refusal(option, value, "true or false") from None


def _choice(option: str, value: object) -> str:
    choices = _KILL.definitions[option]["choices"]
    text = str(value).strip().lower()
    if text not in choices:
        raise _refusal(option, value, ", ".join(choices))
    return text
