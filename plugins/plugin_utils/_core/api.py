# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of ansible-core that the collection needs, and the features that depend on each.

A later core may have renamed any of these names: core promises few of them to plugins. Therefore
each is checked before it is used. This file itself imports nothing of core.

An attribute counts as there if its class has it, or if an __init__ of the class or of its bases
mentions it. Objects can't be checked: core makes them per task, in workers.
"""

from __future__ import annotations

import enum
import functools
import importlib
import inspect
import types
import typing as t


class Feature(enum.Enum):
    """A feature of the collection; its value says what the user loses without it."""

    EVERYTHING = "nothing is guarded: processes that an interruption leaves behind keep running"
    TASKS = (
        "tasks are guarded only on hosts with the connection treekill.remote.ssh"
        " or treekill.remote.paramiko_ssh"
    )
    OWN = (
        "the connections treekill.remote.ssh and treekill.remote.paramiko_ssh guard only what"
        " treekill_track=all finds, and nothing without it"
    )
    BECOME = (
        "what tasks start by become is ended by the login user,"
        " which needs permission or sudo without a password"
    )
    SUPERVISOR = (
        "modules have no supervisor: orphans that clear their environment are not found,"
        " and hosts end nothing when the whole controller is gone"
    )
    FILES = "asynchronous jobs have no supervisor, and file transfers are not ended with the run"
    EXTRA_VARIABLES = "kill options that --extra-vars sets do not apply to the run itself"
    WATCH = "only the next task notices that the guardian was killed"
    RECAP = (
        "recap, report and journal leave the inventory out or have no colours,"
        " and the files of after_kill are not run"
    )
    AFTER_KILL = "after_kill is not run"
    CONSOLE = (
        "only the first run of ansible-console, or of a program that runs several plays, is guarded"
    )
    NAMES = "misspelt options are not reported"
    ALWAYS = "always sections do not run after an interruption: the option run_always has no effect"
    WORKERS = (
        "when the main process is killed, a worker that runs nothing on a host at that moment"
        " keeps running, and the option run_always has no effect"
    )


#: module:name.name(parameters). The parameters are those that this collection passes by name, or
#: that core passes by name to a method that this collection wraps.
_POINTS: dict[Feature, tuple[str, ...]] = {
    Feature.EVERYTHING: (
        "ansible.errors:AnsibleError",
        "ansible.errors:AnsibleAuthenticationFailure",
        "ansible.errors:AnsibleConnectionFailure",
        "ansible.errors:AnsibleOptionsError",
        "ansible.utils.display:Display.warning(msg)",
        "ansible.utils.display:Display.error(msg)",
        "ansible.utils.display:Display.display(msg, color, stderr)",
        "ansible.utils.display:Display.verbosity",
        "ansible.utils.path:unfrackpath",
        "ansible.module_utils.parsing.convert_bool:boolean",
        (
            "ansible.constants:config.get_config_value_and_origin"
            "(config, plugin_type, plugin_name, variables, direct)"
        ),
        "ansible.constants:config.get_configuration_definitions(plugin_type, name)",
        (
            "ansible.constants:config.initialize_plugin_configuration_definitions"
            "(plugin_type, name, defs)"
        ),
        "ansible.playbook.play_context:PlayContext.executable",
        "ansible.playbook.task:Task.async_val",
        "ansible.playbook.task:Task.get_name",
        "ansible.playbook.task:Task.no_log",
        "ansible.playbook.task:Task.poll",
        "ansible.plugins.loader:action_loader.get(name)",
        "ansible.plugins.loader:connection_loader.get(name)",
        "ansible.plugins.loader:module_loader.find_plugin_with_context(name)",
        "ansible.plugins.loader:shell_loader.get(name)",
        "ansible.plugins.loader:become_loader.get(name)",
        "ansible.plugins.shell.sh:ShellModule.SHELL_FAMILY",
        "ansible.plugins.become:BecomeBase.get_options",
        "ansible.plugins.callback:CallbackBase.v2_playbook_on_start",
        "ansible.plugins.connection:ConnectionBase.exec_command(cmd, in_data, sudoable)",
        "ansible.plugins.connection:ConnectionBase.set_options(direct)",
        "ansible.plugins.connection:ConnectionBase.get_options",
        "ansible.plugins.connection:ConnectionBase.get_option(option)",
        "ansible.plugins.connection:ConnectionBase._options",
        "ansible.plugins.connection:ConnectionBase._load_name",
        "ansible.plugins.connection:ConnectionBase._play_context",
        "ansible.plugins.connection:ConnectionBase._shell",
        "ansible.plugins.connection:ConnectionBase.become",
        "ansible.plugins.connection:ConnectionBase.transport",
        "ansible.plugins.connection:ConnectionBase.allow_executable",
        "ansible.plugins.connection:ConnectionBase.supports_persistence",
        "ansible.plugins.connection:ConnectionBase.force_persistence",
    ),
    Feature.TASKS: (
        "ansible.plugins.action:ActionBase._connection",
        "ansible.plugins.action:ActionBase._task",
        "ansible.plugins.action:ActionBase._templar",
        "ansible.template:Templar.available_variables",
        "ansible.template:Templar.template(variable)",
        "ansible.playbook.task:Task.action",
        "ansible.playbook.task:Task.delegate_to",
    ),
    Feature.OWN: (
        "ansible.executor.process.worker:current_worker",
        "ansible.executor.process.worker:WorkerProcess._host",
        "ansible.executor.process.worker:WorkerProcess._task",
        "ansible.executor.process.worker:WorkerProcess._task_vars",
    ),
    Feature.BECOME: (
        "ansible.plugins.connection:ConnectionBase.set_become_plugin(plugin)",
        "ansible.plugins.become:BecomeBase.build_become_command(cmd, shell)",
    ),
    Feature.SUPERVISOR: (
        "ansible.plugins.shell:ShellBase.build_module_command(env_string, shebang, cmd, arg_path)",
    ),
    Feature.FILES: (
        "ansible.plugins.connection:ConnectionBase.put_file(in_path, out_path)",
        "ansible.plugins.connection:ConnectionBase.fetch_file(in_path, out_path)",
        "ansible.constants:DEFAULT_LOCAL_TMP",
    ),
    Feature.EXTRA_VARIABLES: (
        "ansible.utils.vars:load_extra_vars(loader)",
        "ansible.playbook:Playbook._loader",
    ),
    Feature.WATCH: ("ansible.plugins.callback:CallbackBase.v2_runner_on_start",),
    Feature.RECAP: (
        "ansible.context:CLIARGS",
        "ansible.constants:COLOR_CHANGED",
        "ansible.constants:COLOR_ERROR",
        "ansible.constants:COLOR_HIGHLIGHT",
        "ansible.constants:COLOR_OK",
        "ansible.constants:COLOR_SKIP",
        "ansible.constants:COLOR_VERBOSE",
        "ansible.constants:COLOR_WARN",
    ),
    Feature.AFTER_KILL: (
        "ansible.cli:CLI.split_vault_id",
        "ansible.constants:DEFAULT_VAULT_IDENTITY",
        "ansible.constants:DEFAULT_VAULT_IDENTITY_LIST",
        "ansible.parsing.vault:PromptVaultSecret",
        "ansible.playbook:Playbook._basedir",
        "ansible.playbook.play_context:PlayContext.become_pass",
        "ansible.playbook.play_context:PlayContext.password",
    ),
    Feature.CONSOLE: (
        "ansible.plugins.callback:CallbackBase.v2_playbook_on_play_start",
        "ansible.playbook.play:Play._loader",
        "ansible.executor.task_queue_manager:TaskQueueManager.cleanup",
        "ansible.executor.task_queue_manager:TaskQueueManager._callback_plugins",
    ),
    Feature.NAMES: (
        "ansible.constants:YAML_FILENAME_EXTENSIONS",
        "ansible.inventory.group:Group.vars",
        "ansible.inventory.host:Host.vars",
        "ansible.inventory.manager:InventoryManager._sources",
        "ansible.inventory.manager:InventoryManager.groups",
        "ansible.inventory.manager:InventoryManager.hosts",
        "ansible.parsing.dataloader:DataLoader.get_basedir",
        "ansible.playbook.play:Play.get_loader",
        "ansible.playbook.play:Play.get_roles",
        "ansible.playbook.play:Play.get_variable_manager",
        "ansible.playbook.play:Play.get_vars_files",
        "ansible.playbook.role:Role._default_vars",
        "ansible.playbook.role:Role._role_params",
        "ansible.playbook.role:Role._role_vars",
        "ansible.playbook.role:Role.get_all_dependencies",
        "ansible.playbook.role:Role.get_task_blocks",
        "ansible.vars.manager:VariableManager._inventory",
        "ansible.vars.manager:VariableManager.extra_vars",
    ),
    Feature.ALWAYS: (
        "ansible.constants:_ACTION_META",
        "ansible.executor.play_iterator:PlayIterator.get_next_task_for_host(host, peek)",
        "ansible.executor.play_iterator:PlayIterator.set_state_for_host(hostname, state)",
        "ansible.executor.play_iterator:PlayIterator.mark_host_failed(host)",
        "ansible.executor.play_iterator:PlayIterator.is_any_block_rescuing(state)",
        "ansible.executor.play_iterator:PlayIterator.add_tasks(host, task_list)",
        "ansible.executor.play_iterator:PlayIterator.add_notification(hostname, notification)",
        "ansible.executor.play_iterator:PlayIterator._check_failed_state(state)",
        "ansible.executor.play_iterator:PlayIterator._host_states",
        "ansible.executor.play_iterator:PlayIterator._play",
        "ansible.executor.play_iterator:PlayIterator.handlers",
        "ansible.executor.play_iterator:HostState._blocks",
        "ansible.executor.play_iterator:HostState.cur_block",
        "ansible.executor.play_iterator:HostState.cur_regular_task",
        "ansible.executor.play_iterator:HostState.cur_rescue_task",
        "ansible.executor.play_iterator:HostState.cur_always_task",
        "ansible.executor.play_iterator:HostState.run_state",
        "ansible.executor.play_iterator:HostState.pre_flushing_run_state",
        "ansible.executor.play_iterator:HostState.tasks_child_state",
        "ansible.executor.play_iterator:HostState.rescue_child_state",
        "ansible.executor.play_iterator:HostState.always_child_state",
        "ansible.executor.play_iterator:FailedStates.NONE",
        "ansible.executor.play_iterator:IteratingStates.TASKS",
        "ansible.executor.play_iterator:IteratingStates.RESCUE",
        "ansible.executor.play_iterator:IteratingStates.ALWAYS",
        "ansible.executor.play_iterator:IteratingStates.HANDLERS",
        "ansible.executor.play_iterator:IteratingStates.COMPLETE",
        "ansible.executor.process.worker:WorkerProcess._host",
        "ansible.executor.process.worker:WorkerProcess._task",
        "ansible.executor.task_executor:TaskExecutor.run",
        "ansible.executor.task_executor:TaskExecutor._final_q",
        "ansible.executor.task_executor:TaskExecutor._get_loop_items",
        "ansible.executor.task_queue_manager:FinalQueue.put",
        "ansible.executor.task_queue_manager:PlayIterator",
        "ansible.executor.task_queue_manager:TaskQueueManager.run(play)",
        "ansible.executor.task_queue_manager:TaskQueueManager.has_dead_workers",
        "ansible.executor.task_queue_manager:TaskQueueManager._failed_hosts",
        "ansible.executor.task_queue_manager:TaskQueueManager._unreachable_hosts",
        "ansible.playbook.block:Block.copy(exclude_tasks)",
        "ansible.playbook.handler:Handler.clear_hosts",
        "ansible.playbook.play:Play.strategy",
        "ansible.playbook.play:Play._removed_hosts",
        "ansible.playbook.play:Play.max_fail_percentage",
        "ansible.playbook.task:Task._uuid",
        "ansible.playbook.task:Task.action",
        "ansible.playbook.task:Task.any_errors_fatal",
        "ansible.playbook.task:Task.implicit",
        "ansible.playbook.task:Task.run_once",
    ),
    Feature.WORKERS: (
        "ansible.executor.process.worker:WorkerProcess.start",
        "ansible.executor.process.worker:WorkerProcess._final_q",
        "ansible.executor.task_queue_manager:FinalQueue._wlock",
    ),
}


@functools.cache
def missing() -> dict[Feature, tuple[str, ...]]:
    """Return the hook points that the installed core lacks, by feature.

    Empty on a supported core. Checked once for each process.
    """
    found = {
        feature: tuple(point for point in points if not _is_there(point))
        for feature, points in _POINTS.items()
    }
    return {feature: points for feature, points in found.items() if points}


def is_supported(feature: Feature) -> bool:
    """Whether core has all that this feature needs."""
    return feature not in missing() and Feature.EVERYTHING not in missing()


class _Warned:
    """Whether the user has been warned, by this process or by the one that it was forked from."""

    warned = False


def warning(core: str) -> str:
    """Return one text for the user about all that is missing; empty if nothing is.

    Also empty if this process or a parent of it has called this before.

    Args:
        core: the version of ansible-core.
    """
    lost = missing()
    if not lost or _Warned.warned:
        return ""
    _Warned.warned = True
    names = ", ".join(point.replace(":", ".") for points in lost.values() for point in points)
    # If nothing is guarded, the single features need no mention.
    features = [Feature.EVERYTHING] if Feature.EVERYTHING in lost else [*lost]
    effects = "; ".join(feature.value for feature in features)
    rest = "" if Feature.EVERYTHING in lost else " Nothing else is affected."
    return (
        f"treekill.remote: ansible-core {core} lacks what this version of the collection needs:"
        f" {names}. Therefore {effects}.{rest}"
        " The run itself goes on. Check for a newer version of the collection."
    )


def _is_there(point: str) -> bool:
    module, dummy, rest = point.partition(":")
    path, dummy, parameters = rest.rstrip(")").partition("(")
    try:
        value: t.Any = importlib.import_module(module)
    except ImportError:
        return False
    for name in path.split("."):
        if not _has(value, name):
            return False
        value = getattr(value, name, None)
    return not parameters or _takes(value, parameters.split(", "))


def _has(holder: object, name: str) -> bool:
    """Whether the holder has an attribute of that name, or is a class whose objects have one."""
    if hasattr(holder, name) or _is_emptied(holder, name):
        return True
    return isinstance(holder, type) and any(
        name in _annotated(one) or _is_set_by(one, name) for one in holder.__mro__
    )


def _annotated(one: type) -> t.Collection[str]:
    """Return the names that a class annotates.

    Python 3.14 evaluates annotations when they are read. Those of a file without `from __future__
    import annotations` may need names that are imported for type checkers only.
    """
    lazily = _annotationlib()
    if lazily is None:
        return t.cast("t.Collection[str]", getattr(one, "__annotations__", ()))
    return list(lazily.get_annotations(one, format=lazily.Format.FORWARDREF))


@functools.cache
def _annotationlib() -> types.ModuleType | None:
    try:
        return importlib.import_module("annotationlib")
    except ImportError:
        return None


def _is_emptied(holder: object, name: str) -> bool:
    """Whether the name is an event, and another callback has removed all events from their class.

    Core sends the events nevertheless.
    """
    return name.startswith("v2_") and not any(other.startswith("v2_") for other in dir(holder))


def _is_set_by(one: type, name: str) -> bool:
    """Whether the __init__ of a class mentions the attribute.

    An __init__ that another plugin has put there is assumed to set it.
    """
    init = vars(one).get("__init__")
    init = inspect.unwrap(init) if isinstance(init, types.FunctionType) else None
    # The module typing makes the __init__ of a protocol.
    return init is not None and (
        init.__module__ not in (one.__module__, "typing") or name in init.__code__.co_names
    )


def _takes(value: object, parameters: t.Sequence[str]) -> bool:
    """Whether a function accepts these parameters by name.

    What is no Python function can't be inspected, and is assumed to accept them.
    """
    function = inspect.unwrap(getattr(value, "__func__", value))  # type: ignore[arg-type]
    if not isinstance(function, types.FunctionType):
        return callable(value)
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return bool(code.co_flags & inspect.CO_VARKEYWORDS) or {*parameters} <= {*names}
