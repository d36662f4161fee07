# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard of a connection object: each command through it holds a lease and carries a cookie.

The guard wraps methods of the object, not of its class or of an action. The builtin shell action
loads and runs the command action, so the methods of a subclass would not be called. All these
actions share the connection.
"""

from __future__ import annotations

import contextlib
import functools
import typing as t

from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.command_line import (
    MAX_INNER_BYTES,
    MAX_WORD_BYTES,
    CommandLines,
    Recording,
    Result,
    fits,
    job_has_ended,
    started_job,
    without_other_marks,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.held_leases import (
    HeldLeases,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.shell_command import (
    in_first_shell,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._core.api import (
    Feature,
    is_supported,
    missing,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._core.transports import (
    is_for_devices,
    is_of_mitogen,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.client import GuardianClient
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.request import (
    Command,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import GuardedTask
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.shell_encoding import carried
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.supervisor_command import (
    python_of,
)

if t.TYPE_CHECKING:
    from ansible.plugins.become import BecomeBase
    from ansible.plugins.connection import ConnectionBase

_ATTRIBUTE = "_treekill_guard"

display = Display()

#: Stands for the lease of a command that is too long to be sent with one.
_TOO_LONG = "too long"


def guard_connection(
    connection: ConnectionBase,
    link: GuardianClient,
    task: GuardedTask | t.Callable[[], GuardedTask],
) -> ConnectionGuard | None:
    """Guard `connection` for `task`. A guard that it has already gets the new task.

    Args:
        connection: all its options are set.
        link: the connection to the guardian.
        task: the task; or a function that returns it, for an action that should send nothing.

    Returns:
        The guard; None if there is no POSIX shell at the other end. Then nothing is wrapped, and
        the user is warned once for each host.
    """
    present: ConnectionGuard | None = getattr(connection, _ATTRIBUTE, None)
    if present is None:
        reason = _refusal(connection)
        if reason:
            if isinstance(task, GuardedTask) and task.options.track != "none":
                link.unguarded(task.host, connection._load_name, reason)
            return None
        present = ConnectionGuard(connection, link, task)
        setattr(connection, _ATTRIBUTE, present)
    present.guard_for(task)
    if connection.become is not None:
        present.wrap_become(connection.become)
    return present


def _refusal(connection: ConnectionBase) -> str:
    """Return the reason, for the user, why a cookie can't be set; empty if it can."""
    if not is_supported(Feature.EVERYTHING):
        return f"this ansible-core has no {', '.join(missing()[Feature.EVERYTHING])}"
    if is_for_devices(connection):
        return "it is persistent, as connections to network devices are, and has no POSIX shell"
    if is_of_mitogen(connection):
        return (
            "it is a connection of mitogen, which runs modules in its own way; use a strategy of"
            " ansible-core"
        )
    family = getattr(getattr(connection, "_shell", None), "SHELL_FAMILY", None)
    return "" if family == "sh" else f"its shell is no POSIX shell (family {family})"


class ConnectionGuard:
    """The wrapped methods of one connection, between an action and the plugin."""

    def __init__(
        self,
        connection: ConnectionBase,
        link: GuardianClient,
        task: GuardedTask | t.Callable[[], GuardedTask],
    ) -> None:
        self._task = task
        self._connection = connection
        self._link = link
        self._inside_become: str | None = None
        self._module_next = False
        self._lines = CommandLines(connection, link.run, lambda: self.task)
        self._leases = HeldLeases(connection, link, lambda: self.task)
        self._exec_command: t.Callable[..., Result] = connection.exec_command
        vars(connection)["exec_command"] = self.exec_command
        if is_supported(Feature.BECOME):
            self._set_become_plugin = connection.set_become_plugin
            vars(connection)["set_become_plugin"] = self.set_become_plugin
        if is_supported(Feature.FILES):
            self._put_file: t.Callable[..., t.Any] = connection.put_file
            self._fetch_file: t.Callable[..., t.Any] = connection.fetch_file
            vars(connection)["put_file"] = self.put_file
            vars(connection)["fetch_file"] = self.fetch_file
        if is_supported(Feature.SUPERVISOR):
            self._build_module_command: t.Callable[..., t.Any] = (
                connection._shell.build_module_command
            )
            vars(connection._shell)["build_module_command"] = self.build_module_command

    @property
    def task(self) -> GuardedTask:
        """The task that the next command is for."""
        if not isinstance(self._task, GuardedTask):
            self._task = self._task()
        return self._task

    def guard_for(self, task: GuardedTask | t.Callable[[], GuardedTask]) -> None:
        """Guard the next commands for another task."""
        self._task = task

    @contextlib.contextmanager
    def recording(self, commands: bool) -> t.Iterator[Recording]:
        """Record the root of each command in this block.

        The root announces its pid on standard output. The announcement is removed there.

        Args:
            commands: as the field of `Recording`.
        """
        self._lines.recording = Recording(commands)
        try:
            yield self._lines.recording
        finally:
            self._lines.recording = None

    # The wrapped methods. They pass on parameters that a later core adds.

    def set_become_plugin(self, plugin: BecomeBase | None) -> None:
        """Set the become plugin, and wrap it."""
        self._set_become_plugin(t.cast("BecomeBase", plugin))
        if plugin is not None:
            self.wrap_become(plugin)

    def wrap_become(self, become: BecomeBase) -> None:
        """Set the cookie inside become: sudo drops the environment of its caller."""
        if _ATTRIBUTE in vars(become) or not is_supported(Feature.BECOME):
            return
        build: t.Callable[..., t.Any] = become.build_become_command

        def build_become_command(cmd: str, shell: t.Any, **more: t.Any) -> str:
            if not cmd or not self._guarded:
                return str(build(cmd, shell, **more))
            self._inside_become = self._lines.lease_of(cmd)
            # Core builds this only for commands that may use become. Inside become another shell
            # may read the line first: the shell of `sudo -i` or of `su -`.
            inside = carried(
                self._lines.with_cookie(self._inside_become, cmd, sudoable=True),
                getattr(shell, "executable", None) or "/bin/sh",
            )
            line = str(build(inside, shell, **more))
            if self._fits(line, MAX_INNER_BYTES):
                return line
            self._inside_become = _TOO_LONG
            return str(build(cmd, shell, **more))

        vars(become)[_ATTRIBUTE] = self
        vars(become)["build_become_command"] = build_become_command

    def put_file(self, in_path: str, out_path: str, **more: t.Any) -> t.Any:
        """Put a file on the host under a lease; a module gets its supervisor's program appended."""
        interpreter = self._lines.add_program(in_path, out_path)
        if interpreter:
            self._learn_interpreter(interpreter)
        return self._move_under_lease(self._put_file, in_path, out_path, more)

    def _learn_interpreter(self, interpreter: str) -> None:
        """Record the interpreter with which core runs the module.

        The kill pass uses it as well, whatever the variable contains from which core made it.
        """
        python = python_of(interpreter)
        if python:
            self._task = self.task.with_interpreter(python)

    def fetch_file(self, in_path: str, out_path: str, **more: t.Any) -> t.Any:
        """Fetch a file from the host under a lease."""
        return self._move_under_lease(self._fetch_file, in_path, out_path, more)

    def build_module_command(
        self,
        env_string: str,
        shebang: str | None,
        cmd: str,
        arg_path: str | None = None,
        **more: t.Any,
    ) -> str:
        """Build the command of a module as the shell plugin does, with a supervisor around it."""
        self._module_next = True
        env_string = without_other_marks(env_string)
        interpreter = (shebang or "").removeprefix("#!")
        self._learn_interpreter(interpreter)
        command = str(
            self._build_module_command(env_string, shebang, cmd, arg_path=arg_path, **more)
        ).strip()
        return self._lines.around_module(command, env_string, interpreter, cmd)

    def exec_command(
        self, cmd: str, in_data: bytes | None = None, sudoable: bool = True, **more: t.Any
    ) -> Result:
        """Run a command through the connection, under a lease.

        Raises:
            Interrupted: the run was interrupted; nothing was sent.
            Exception: as the method of the connection.
        """
        if not self._guarded:
            return self._exec_command(cmd, in_data=in_data, sudoable=sudoable, **more)
        lease, becomes = self._inside_become, True
        self._inside_become = None
        if lease == _TOO_LONG:
            return self._exec_command(cmd, in_data=in_data, sudoable=sudoable, **more)
        if lease is None or f"/{lease}/" not in cmd:
            lease, becomes = self._lines.lease_of(cmd), False
            line = in_first_shell(
                self._connection,
                cmd,
                functools.partial(self._lines.with_cookie, lease, sudoable=sudoable),
            )
            if not self._fits(line, MAX_WORD_BYTES):
                return self._exec_command(cmd, in_data=in_data, sudoable=sudoable, **more)
            cmd = line
        else:
            cmd = self._lines.in_leader(lease, cmd)
        # Between the building of a module's command and its execution, core prepares files by
        # commands that never use become.
        is_module = sudoable and (self._module_next or self._lines.records_commands)
        self._module_next = self._module_next and not sudoable
        supervised = f"lease={lease}" in cmd
        if supervised and in_data:
            in_data = self._lines.with_program(in_data)
        starts_job = self.task.asynchronous and bool(started_job(cmd))
        command = Command(
            lease,
            becomes,
            bool(in_data),
            supervised,
            started_job(cmd) if self.task.detaches else "",
            payload=sudoable or supervised,
            pulse=supervised and self._lines.needs_pulse(starts_job),
            starts_job=starts_job,
        )
        run = functools.partial(self._exec_command, cmd, in_data=in_data, sudoable=sudoable, **more)
        if not self._leases.take(command):
            return self._lines.take_announcement(run(), is_module)
        self._link.show_news()
        result = self._leases.run(lease, run, starts_job)
        result = self._lines.take_announcement(result, is_module)
        if self._leases.polls_job and job_has_ended(result):
            self._leases.end_job()
        self._link.show_news()
        return result

    def _fits(self, line: str, most: int) -> bool:
        """Whether the system accepts a command line with its guard.

        A longer command line is sent as core has made it, and the user is warned.
        """
        if fits(line, most):
            return True
        self._link.unguarded(
            self.task.host,
            self._connection._load_name,
            "with its guard, a command line would be longer than the system accepts",
        )
        return False

    def _move_under_lease(
        self, move: t.Callable[..., t.Any], in_path: str, out_path: str, more: t.Mapping[str, t.Any]
    ) -> t.Any:
        """Transfer a file under a lease.

        Raises:
            Interrupted: the run was interrupted; nothing was transferred.
            Exception: as the method of the connection.
        """
        if not self._guarded or self._connection.transport == "local":
            return move(in_path, out_path, **more)
        return self._leases.move(functools.partial(move, in_path, out_path, **more))

    @property
    def _guarded(self) -> bool:
        return self.task.options.track != "none"
