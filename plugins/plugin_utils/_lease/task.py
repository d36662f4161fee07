# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The task that a lease is held for, and what the lease has to know of it."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.module_utils._process.masked_words import mask_urls
from ansible_collections.treekill.remote.plugins.plugin_utils._core import options as kill_options

if t.TYPE_CHECKING:
    from ansible.executor.process.worker import WorkerProcess
    from ansible.playbook.task import Task
    from ansible.plugins.action import ActionBase
    from ansible.plugins.connection import ConnectionBase

display = Display()

#: Interpreters that are tried on the host after the task's own. Those of the distributions come
#: first, then that of the PATH.
_INTERPRETERS = ("/usr/bin/python3", "/usr/libexec/platform-python", "python3")


_ASKS_FOR_JOB = ("async_status", "ansible.builtin.async_status", "ansible.legacy.async_status")

#: Actions that lose their connection on purpose. To end what they have started would cancel their
#: work.
_CUTS_ITS_CONNECTION = ("reboot", "ansible.builtin.reboot", "ansible.legacy.reboot")


@dataclasses.dataclass(frozen=True)
class GuardedTask:
    """One task on one host."""

    #: The host of its processes: the one that it is delegated to, if it is.
    host: str
    name: str
    options: kill_options.KillOptions
    interpreters: tuple[str, ...]
    #: False under no_log, which hides command lines too.
    show_arguments: bool
    asynchronous: bool = False
    #: Whether it is asynchronous with poll 0. Then the job continues after the task.
    detaches: bool = False
    #: The id of another task's asynchronous job that this task polls.
    polls: str = ""
    #: The name of its action, and so of its module, as core resolves it.
    action: str = ""
    #: Its arguments at the time of a command. Core adds the module's defaults when it makes the
    #: action.
    arguments: t.Callable[[], t.Mapping[str, t.Any]] = dict

    @classmethod
    def from_action(
        cls, action: ActionBase, arguments: t.Mapping[str, t.Any] | None = None
    ) -> GuardedTask:
        """Return the task of an action plugin that core has made.

        Args:
            action: any action plugin.
            arguments: kill options among the arguments of the task.

        Raises:
            AnsibleOptionsError: a kill option in a variable of this host or task is not allowed.
                The text names it.
        """
        task, templar = action._task, action._templar
        variables: t.Mapping[str, t.Any] = templar.available_variables
        host = variables.get("inventory_hostname", "")
        if task.delegate_to:
            host = str(task.delegate_to)
            variables = variables.get("ansible_delegated_vars", {}).get(host) or variables

        values = {
            name: _known(templar, name, variables[name])
            for name in kill_options.VARIABLES
            if name in variables
        }
        options = kill_options.resolve(values, arguments)
        if task.action in _CUTS_ITS_CONNECTION:
            options = dataclasses.replace(options, keep_on_disconnect=True)
        return cls(
            host=str(host),
            name=name_of(task),
            options=options,
            interpreters=_interpreters(
                _as_written(variables.get("ansible_python_interpreter")),
                variables.get("ansible_facts", {}).get("discovered_interpreter_python"),
            ),
            show_arguments=not task.no_log,
            asynchronous=bool(task.async_val),
            detaches=bool(task.async_val) and not task.poll,
            polls=str(task.args.get("jid", ""))
            if task.action in _ASKS_FOR_JOB and task.args.get("mode") != "cleanup"
            else "",
            action=_action_of(task),
            arguments=lambda: task.args,
        )

    def with_interpreter(self, path: str) -> GuardedTask:
        """Return a copy that knows the interpreter with which core runs the module."""
        return dataclasses.replace(self, interpreters=_interpreters(path, *self.interpreters))

    @classmethod
    def from_connection(cls, connection: ConnectionBase) -> GuardedTask | None:
        """Return the task of a worker whose connection plugin has the kill options; else None.

        Raises:
            AnsibleOptionsError: a kill option is not allowed. The text names it.
        """
        # guard_itself has imported it.
        from ansible.executor.process import worker  # noqa: PLC0415

        current: WorkerProcess | None = worker.current_worker
        if current is None:
            return None
        task, variables = current._task, current._task_vars
        return cls(
            host=str(connection.get_option(_address_option(connection)) or current._host.name),
            name=name_of(task),
            options=kill_options.KillOptions.parse(
                {name: connection.get_option(name) for name in kill_options.VARIABLES.values()}
            ),
            interpreters=_interpreters(
                variables.get("ansible_facts", {}).get("discovered_interpreter_python")
            ),
            show_arguments=not task.no_log,
            asynchronous=bool(task.async_val),
            detaches=bool(task.async_val) and not task.poll,
            action=_action_of(task),
            arguments=lambda: task.args,
        )


def needs_connection(action: ActionBase | type[ActionBase] | None) -> bool:
    """Whether an action plugin, or its class, may do something on a host.

    The action debug does nothing there. An unknown action (None) may.
    """
    return bool(getattr(action, "_requires_connection", True))


def _known(templar: t.Any, name: str, value: t.Any) -> t.Any:
    """Return the value of a kill option's variable.

    None, with a warning, if it depends on an unknown.
    """
    if not isinstance(value, str) or "{" not in value:
        return value
    try:
        said = templar.template(value)
    # A template may raise anything, and the task itself may never evaluate it.
    except Exception as error:  # noqa: BLE001
        display.warning(f"treekill.remote: {name} is not known yet, and counts as not set: {error}")
        return None
    # Core can be configured to leave a template unchanged that it can't evaluate.
    return None if "{{" in str(said) else said


def _as_written(interpreter: object) -> object:
    """Return the interpreter if it is plain text, and None for a template.

    A template is for core, which evaluates it only to run a module.
    """
    return None if interpreter is None or "{" in str(interpreter) else interpreter


def name_of(task: Task) -> str:
    """Return the name of a task for its user.

    With no_log it is the unevaluated name, because the value of a template in it may be secret.
    """
    if not task.no_log:
        return mask_urls(str(task.get_name()))
    written = getattr(task, "_ds", None)
    name = written.get("name") if isinstance(written, t.Mapping) else None
    role = getattr(task, "_role", None)
    return (f"{role.get_name()} : " if role else "") + str(name or task.action)


def _action_of(task: Task) -> str:
    return str(getattr(task, "resolved_action", None) or task.action)


def _address_option(connection: ConnectionBase) -> str:
    return next(name for name in ("host", "remote_addr") if name in connection._options)


def _interpreters(*known: object) -> tuple[str, ...]:
    # "auto" and its variants are ways to find an interpreter, and not names of one.
    own = [str(name) for name in known if name and not str(name).startswith("auto")]
    return tuple(dict.fromkeys([*own, *_INTERPRETERS]))
