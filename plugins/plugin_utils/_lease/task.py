# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a lease has to know of the task that it is held for."""

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

#: Tried on the host after what the task itself uses: the distributions' own, then what the PATH
#: has.
_INTERPRETERS = ("/usr/bin/python3", "/usr/libexec/platform-python", "python3")


_ASKS_FOR_JOB = ("async_status", "ansible.builtin.async_status", "ansible.legacy.async_status")

#: Actions that lose their connection on purpose: ending what they have started would cancel what it
#: does.
_CUTS_ITS_CONNECTION = ("reboot", "ansible.builtin.reboot", "ansible.legacy.reboot")


@dataclasses.dataclass(frozen=True)
class GuardedTask:
    """One task on one host."""

    #: Where its processes are: the host that the task is delegated to, if it is.
    host: str
    name: str
    options: kill_options.KillOptions
    interpreters: tuple[str, ...]
    #: False under no_log: not even command lines are told.
    show_arguments: bool
    asynchronous: bool = False
    #: Asynchronous with poll 0: the job goes on when the task has ended.
    detaches: bool = False
    #: The id of another task's asynchronous job that this one asks for.
    polls: str = ""
    #: The name of its action, and so of its module, as core resolves it.
    action: str = ""
    #: Its arguments, as they are when a command goes out: core adds the defaults of the module when
    #: the action was made.
    arguments: t.Callable[[], t.Mapping[str, t.Any]] = dict

    @classmethod
    def from_action(
        cls, action: ActionBase, arguments: t.Mapping[str, t.Any] | None = None
    ) -> GuardedTask:
        """The task of an action plugin, once core has made the plugin.

        Args:
            action: any action plugin.
            arguments: kill options that the task gave as its own arguments.

        Raises:
            AnsibleOptionsError: a kill option, as a variable of this host or task, is not allowed; the text names it.
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
        """The same, of which it is known by now what core runs its module with."""
        return dataclasses.replace(self, interpreters=_interpreters(path, *self.interpreters))

    @classmethod
    def from_connection(cls, connection: ConnectionBase) -> GuardedTask | None:
        """The task of a connection plugin that has the kill options among its own, in a worker; None elsewhere.

        Raises:
            AnsibleOptionsError: a kill option is not allowed; the text names it.
        """
        from ansible.executor.process import worker  # noqa: PLC0415  # guard_itself has looked at it

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
    """Whether an action plugin, or its class, may do something on a host. debug does nothing there; of None nothing is known."""
    return bool(getattr(action, "_requires_connection", True))


def _known(templar: t.Any, name: str, value: t.Any) -> t.Any:
    """What a kill option's variable says; None, with a warning, where it is made of something that is not known yet."""
    if not isinstance(value, str) or "{" not in value:
        return value
    try:
        said = templar.template(value)
    except Exception as error:  # noqa: BLE001  # whatever a template raises, the task itself may never look at it
        display.warning(
            f"treekill.remote: {name} is not known yet, and is as if it were not set: {error}"
        )
        return None
    # Core may be told to leave a template as it is that it can't make anything of.
    return None if "{{" in str(said) else said


def _as_written(interpreter: object) -> object:
    """The interpreter, if it is plain text. A template is for core, which looks at it when it runs a module, and not for a task without one."""
    return None if interpreter is None or "{" in str(interpreter) else interpreter


def name_of(task: Task) -> str:
    """The name of a task for its user. With no_log it is the name as it is written: what a template in it becomes may be a secret."""
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
    # "auto" and its variants are ways to look for an interpreter, no name of one.
    own = [str(name) for name in known if name and not str(name).startswith("auto")]
    return tuple(dict.fromkeys([*own, *_INTERPRETERS]))
