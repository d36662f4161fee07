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
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import (
    USUAL,
    KillRequest,
)
from ansible_collections.treekill.remote.plugins.module_utils._tree.transactions import (
    MODULES,
    PROGRAMS,
)

#: Plugin type under which ansible-core is given the options' sources.
#:
#: The name beside it is not the callback's own. If it were, core would convert the values: it takes
#: any word for a boolean (C(maybe) is false), and its errors differ in each version. Here every
#: value arrives as text and is converted below.
_REGISTERED_AS = "callback"


#: Written in C where PyYAML has it, as almost everywhere. That one takes a tenth of the time: the
#: other one takes longer than all else at the start of a run.
_SafeLoader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


class _OptionFamily:
    """Options that are documented and read together.

    `variables` maps the name of a variable to its option, such as treekill_kill_timeout to
    kill_timeout.
    """

    def __init__(self, name: str, documentation: str) -> None:
        self.definitions: dict[str, t.Any] = yaml.load(
            documentation,
            Loader=_SafeLoader,  # noqa: S506  # as its name says
        )["options"]
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
            option: _written(value)
            for option, value in (arguments or {}).items()
            if value is not None
        }
        # Core gets values as text: some versions refuse a number where a string is declared.
        written = {
            variable: _written(value)
            for variable, value in (variables or {}).items()
            if variable in self.variables and value is not None
        }
        values: dict[str, object] = {}
        for option, definition in self.definitions.items():
            value, origin = C.config.get_config_value_and_origin(
                option,
                plugin_type=_REGISTERED_AS,
                plugin_name=self._name,
                variables=written,
                direct=given,
            )
            is_path = definition["type"] == "path"
            values[option] = _beside(str(origin), value) if is_path else value
        return values

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


def _beside(origin: str, value: object) -> object:
    """Return a relative path of ansible.cfg as one from the directory of that file.

    That is how core reads its own paths. `origin`: where the value was found, as core names it; a
    file by its path.
    """
    text = str(value or "").strip().replace("{{CWD}}", os.getcwd())
    if not os.path.isabs(origin) or _is_none(text) or text.startswith(("~", "$")):
        return text
    return os.path.join(os.path.dirname(origin), text)


def _is_none(text: str) -> bool:
    """Whether a text stands for no file and no directory."""
    return not text or text.lower() == "none"


_KILL = _OptionFamily("treekill.remote.kill_options", ModuleDocFragment.DOCUMENTATION)

# The other families apply to the whole run: no task reads them, and of variables only extra
# variables count.
_RECORD = _OptionFamily("treekill.remote.record_options", RecordFragment.DOCUMENTATION)
_AFTER = _OptionFamily("treekill.remote.after_options", ModuleDocFragment.AFTER_KILL)
_ALWAYS = _OptionFamily("treekill.remote.always_options", ModuleDocFragment.ALWAYS)

VARIABLES = _KILL.variables
RECORD_VARIABLES = _RECORD.variables
AFTER_VARIABLES = _AFTER.variables
ALWAYS_VARIABLES = _ALWAYS.variables

#: Section of ansible.cfg.
SECTION = "treekill"


def _names(source: str, entry: str) -> frozenset[str]:
    return frozenset(
        found[entry]
        for family in (_KILL, _RECORD, _AFTER, _ALWAYS)
        for definition in family.definitions.values()
        for found in definition[source]
    )


#: Every name by which an option can be set: key of the section, variable of the environment, and
#: variable of Ansible.
KEYS = _names("ini", "key")
ENVIRONMENT = _names("env", "name")
ALL_VARIABLES = _names("vars", "name")

_BYTES_PER_MEGABYTE = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class KillOptions:
    """The settings for ending a tree, and for guarding it. Times in seconds, signals as numbers.

    `alone`: whether a program that handles the signal gets it before the processes that it has
    started.

    `finish`: the programs whose transactions are left to finish, with commas; `finish_modules`: the
    databases of modules. C(usual) stands for the default, which the kill pass knows itself.
    """

    signal: int
    children: bool
    children_signal: int
    alone: bool
    timeout: float
    finish: str
    finish_modules: str
    finish_timeout: float
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
        finish = _truth("finish", values["finish"])
        return cls(
            signal=_signal("kill_signal", values["kill_signal"]),
            children=_truth("kill_children", values["kill_children"]),
            children_signal=_signal("kill_children_signal", values["kill_children_signal"]),
            alone=_choice("kill_mode", values["kill_mode"]) == "mixed",
            timeout=_seconds("kill_timeout", values["kill_timeout"]),
            finish=_programs("finish_programs", values, PROGRAMS) if finish else "",
            finish_modules=_programs("finish_modules", values, MODULES) if finish else "",
            finish_timeout=_seconds("finish_timeout", values["finish_timeout"]),
            wait=_truth("kill_wait", values["kill_wait"]),
            retry_for=_seconds("kill_retry_for", values["kill_retry_for"]),
            end_async=_truth("kill_async", values["kill_async"]),
            supervise=_truth("supervise", values["supervise"]),
            keep_on_disconnect=_choice("on_disconnect", values["on_disconnect"]) == "keep",
            track=_choice("track", values["track"]),
        )

    def request(self, run: str, lease: str, *, arguments: bool) -> KillRequest:
        """Return the request to end the tree of a lease as these options say.

        `arguments`: whether command lines may be reported.
        """
        return KillRequest(
            run=run,
            lease=lease,
            signal=self.signal,
            children=self.children,
            children_signal=self.children_signal,
            alone=self.alone,
            timeout=self.timeout,
            arguments=arguments,
            finish=self.finish,
            finish_modules=self.finish_modules,
            finish_timeout=self.finish_timeout,
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
    #: As the user wrote it; empty for none.
    notify_command: str = ""

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
            notify_command=_text(values["notify_command"]),
        )


def _text(value: object) -> str:
    text = str(value or "").strip()
    return "" if text.lower() == "none" else text


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
    written = _AFTER.values(variables)
    files = tuple(name for name in _entries(written["after_kill"]) if not _is_none(name))
    return AfterOptions(files, _seconds("after_kill_timeout", written["after_kill_timeout"]))


def resolve_always(variables: t.Mapping[str, t.Any] | None = None) -> bool:
    """Return the option run_always in force. It applies to the whole run.

    Extra variables come before environment, ansible.cfg and the default. Raises AnsibleOptionsError
    as `resolve` does.
    """
    return _truth("run_always", _ALWAYS.values(variables)["run_always"])


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
    if _is_none(text):
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


def _written(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _entries(value: object) -> list[str]:
    return [entry.strip() for entry in re.split("[,\n]", _written(value)) if entry.strip()]


def _programs(option: str, values: t.Mapping[str, object], usual: str) -> str:
    """Return a list of names with commas; `USUAL` for the default."""
    text = ",".join(_entries(values[option]))
    if not re.fullmatch(r"([\w.+-]+\*?(,|$))*", text, re.ASCII):
        raise _refusal(option, values[option], "names of programs, with an asterisk at their end")
    if option == "finish_modules" and not {*filter(None, text.split(","))} <= {*usual.split(",")}:
        raise _refusal(option, values[option], usual)
    return USUAL if text == usual else text


def _choice(option: str, value: object) -> str:
    choices = _KILL.definitions[option]["choices"]
    text = str(value).strip().lower()
    if text not in choices:
        raise _refusal(option, value, ", ".join(choices))
    return text
