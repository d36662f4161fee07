# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The leash on a connection object: every command that goes out through it holds a lease and carries its cookie.

This file is private to the collection treekill.remote.

It is put on the object, not on a class: the builtin shell action loads the command action anew and runs that one, so what a
subclass of an action overrides is not reached, but all of them share the connection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
import secrets
import shlex
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import export_command, parse_cookie
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.attempts import Attempts
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.departure import Departure
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.held_signals import signals_held
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.shell_command import in_first_shell
from ansible_collections.treekill.remote.plugins.plugin_utils._core.api import Feature, is_supported, missing
from ansible_collections.treekill.remote.plugins.plugin_utils._core.transports import has_ways_of_its_own, is_for_devices, is_ssh, runs_here
from ansible_collections.treekill.remote.plugins.plugin_utils._guardian.client import GuardianClient
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.framing import to_json
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.order import ConnectionSpec
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.request import Command, request_for_command, request_for_transfer
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import GuardedTask
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.transfer import transferring
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.shell_encoding import carried
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.supervisor_command import Supervision, append_program, is_python, python_of
from ansible_collections.treekill.remote.plugins.plugin_utils._recap.hosts import in_one_line

if t.TYPE_CHECKING:
    from ansible.plugins.become import BecomeBase
    from ansible.plugins.connection import ConnectionBase
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import LeaseRequest
    from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.run_report import ReportedLease

Result = tuple[int, "bytes | str", "bytes | str"]
"""Core says bytes. There are plugins that return text (lxd, incus), and core takes it."""

_ATTRIBUTE = "_treekill_leash"

display = Display()

_ASYNC_WRAPPER = "async_wrapper.py"
"""Name on the host of core's own starter of asynchronous jobs."""

_STARTS_JOB = re.compile(rf"{re.escape(_ASYNC_WRAPPER)}\S* (j[0-9]+) ")
"""Others name the path as well, to make it executable for example; this one goes on with the job's id."""

_JOB_HAS_ENDED = re.compile(rb'"finished": ?(?:1|true)\b')
"""What a poll says of its job. Whatever the job itself has said is in strings, with its quotation marks escaped."""

_OF_ANOTHER_LEASE = re.compile(r"\bTREEKILL(?:=[0-9a-f]{16}/[0-9a-f]{8}/[0-9]+/[0-9]+|_KEEP=1|_SOCKET=(?:'[^']*'|\S*))(?:\s+|$)")
"""What a play has from ansible_facts.env and gives to a later task by `environment`: the marks of the task that gathered the facts."""

_LONGEST_WORD, _LONGEST_INNER = 120 * 1024, 80 * 1024
"""Bytes. The kernel takes 128 KiB in one word of a command line. What goes inside become is quoted once more."""

_TOO_LONG = "too long"
"""In place of the lease of a command that goes out without one."""

_ORDER_SECONDS = 15.0
"""How long a kill order may take beyond the grace before the worker that waits for it goes on."""


@dataclasses.dataclass(frozen=True)
class Recorded:
    """What the host told of the root of a command: its own pid and that of its parent."""

    remote_pid: int
    remote_ppid: int


@dataclasses.dataclass
class Recording:
    """What is recorded while an action runs."""

    commands: bool
    """Whether the action runs command lines of its own, and not a module: then each that may become somebody is one to be recorded and supervised."""
    root: Recorded | None = None
    """The root of the last one."""


def leash(connection: ConnectionBase, link: GuardianClient, task: GuardedTask | t.Callable[[], GuardedTask]) -> Leash | None:
    """Put `connection` on a leash for `task`; on one that has a leash, the task is changed.

    Args:
        connection: with all its options set.
        link: to the guardian.
        task: itself; or what tells it, for an action that is not expected to send anything.

    Returns:
        The leash; None where there is no POSIX shell at the other end, and nothing is wrapped: the user is warned of it, once for a host.
    """
    present: Leash | None = getattr(connection, _ATTRIBUTE, None)
    if present is None:
        reason = _why_not(connection)
        if reason:
            if isinstance(task, GuardedTask) and task.options.track != "none":
                link.unguarded(task.host, connection._load_name, reason)
            return None
        present = Leash(connection, link, task)
        setattr(connection, _ATTRIBUTE, present)
    present.hold_for(task)
    if connection.become is not None:
        present.wrap_become(connection.become)
    return present


def _why_not(connection: ConnectionBase) -> str:
    """Why a cookie can't be set there, in words; empty where it can."""
    if not is_supported(Feature.EVERYTHING):
        return f"this ansible-core has no {', '.join(missing()[Feature.EVERYTHING])}"
    if is_for_devices(connection):
        return "it is a persistent one, as those to network devices are, with no POSIX shell behind it"
    if has_ways_of_its_own(connection):
        return "it is one of mitogen, which runs modules by a way of its own"
    family = getattr(getattr(connection, "_shell", None), "SHELL_FAMILY", None)
    return "" if family == "sh" else f"its shell is no POSIX shell (family {family})"


def _bytes(output: bytes | str) -> bytes:
    return output.encode("utf-8", "surrogateescape") if isinstance(output, str) else output


class Leash:
    """Stands between an action and its connection."""

    def __init__(self, connection: ConnectionBase, link: GuardianClient, task: GuardedTask | t.Callable[[], GuardedTask]) -> None:
        self._task = task
        self._connection = connection
        self._link = link
        self._recording: Recording | None = None
        self._inside_become: str | None = None
        self._module_next = False
        self._job = ""
        """The lease of the asynchronous job that this worker polls."""
        self._supervised_lease = ""
        self._before_stdin = b""
        self._carriers: set[str] = set()
        self._reach_of: tuple[t.Any, ...] = ()
        self._reach_text = ""
        self._departure = Departure(connection, link)
        self._attempts = Attempts(connection)
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
            self._build_module_command: t.Callable[..., t.Any] = connection._shell.build_module_command
            vars(connection._shell)["build_module_command"] = self.build_module_command

    @property
    def task(self) -> GuardedTask:
        """The task that the next command is for."""
        if not isinstance(self._task, GuardedTask):
            self._task = self._task()
        return self._task

    def hold_for(self, task: GuardedTask | t.Callable[[], GuardedTask]) -> None:
        """Guard what comes next for another task."""
        self._task = task

    @contextlib.contextmanager
    def recording(self, commands: bool) -> t.Iterator[Recording]:
        """Within it, each root says its pid on standard output, where it is taken out again.

        Args:
            commands: see `Recording`.
        """
        self._recording = Recording(commands)
        try:
            yield self._recording
        finally:
            self._recording = None

    # What is wrapped. Parameters that a later core adds are passed on.

    def set_become_plugin(self, plugin: BecomeBase | None) -> None:
        """Set the become plugin, and put the cookie behind it."""
        self._set_become_plugin(t.cast("BecomeBase", plugin))
        if plugin is not None:
            self.wrap_become(plugin)

    def wrap_become(self, become: BecomeBase) -> None:
        """Set the cookie inside become: sudo drops the environment that it is called with."""
        if _ATTRIBUTE in vars(become) or not is_supported(Feature.BECOME):
            return
        build: t.Callable[..., t.Any] = become.build_become_command

        def build_become_command(cmd: str, shell: t.Any, **more: t.Any) -> str:
            if not cmd or not self._guarded:
                return str(build(cmd, shell, **more))
            self._inside_become = self._lease_of(cmd)
            # Core builds this for commands that may become somebody, and for no other.
            # Behind become there may be another shell, which reads it first: that of `sudo -i` or of `su -`.
            inside = carried(self._cookie_and(self._inside_become, cmd, sudoable=True), getattr(shell, "executable", None) or "/bin/sh")
            line = str(build(inside, shell, **more))
            if self._fits(line, _LONGEST_INNER):
                return line
            self._inside_become = _TOO_LONG
            return str(build(cmd, shell, **more))

        vars(become)[_ATTRIBUTE] = self
        vars(become)["build_become_command"] = build_become_command

    def put_file(self, in_path: str, out_path: str, **more: t.Any) -> t.Any:
        """The connection's own; a module takes the program of its supervisor along."""
        name = os.path.basename(out_path)
        if self._supervises and (name.startswith("AnsiballZ_") or name == _ASYNC_WRAPPER):
            interpreter = append_program(in_path)
            if interpreter:
                self._carriers.add(out_path)
                self._learn(interpreter)
        return self._transferred(self._put_file, in_path, out_path, more)

    def _learn(self, interpreter: str) -> None:
        """Remember what core runs the module with: the kill pass finds it there as well, whatever the variable says that it was made of."""
        python = python_of(interpreter)
        if python:
            self._task = self.task.with_interpreter(python)

    def fetch_file(self, in_path: str, out_path: str, **more: t.Any) -> t.Any:
        """The connection's own."""
        return self._transferred(self._fetch_file, in_path, out_path, more)

    def build_module_command(self, env_string: str, shebang: str | None, cmd: str, arg_path: str | None = None, **more: t.Any) -> str:
        """The shell's own, with a supervisor around the module."""
        self._module_next = True
        env_string = _OF_ANOTHER_LEASE.sub("", env_string)
        self._learn((shebang or "").removeprefix("#!"))
        command = str(self._build_module_command(env_string, shebang, cmd, arg_path=arg_path, **more)).strip()
        if not self._supervises:
            return command
        self._supervised_lease, self._before_stdin = secrets.token_hex(4), b""
        supervision = self._supervision(self._supervised_lease)
        if not is_python((shebang or "").removeprefix("#!")):
            return supervision.around_words(env_string, command)
        if not cmd.strip():
            words, self._before_stdin = supervision.before_stdin()
            return f"{command} {words}"
        # How a path is quoted differs from version to version, if it has to be.
        before, path, after = command.rpartition(shlex.quote(cmd))
        if cmd in self._carriers and path:
            return f"{before}{supervision.before_file()} {path}{after}"
        return supervision.around_words(env_string, command)

    def _supervision(self, lease: str) -> Supervision:
        """The supervisor of a command; `reconnection_retries` is what the ssh plugin calls its own second tries."""
        retries = self._connection.get_option("reconnection_retries") if "reconnection_retries" in self._connection._options else 0
        # Below other connections the nearest ssh server may be the one that the user of this controller is logged in by.
        session = is_ssh(self._connection) and self._connection.become is not None
        return Supervision(self._link.run, lease, self.task, again=bool(retries), session=session)

    def _around_job(self, lease: str, body: str) -> str:
        """A supervisor around what starts an asynchronous job. Core builds that command without its shell plugin."""
        for path in self._carriers:
            if os.path.basename(path) == _ASYNC_WRAPPER and path in body:
                # As in `_STARTS_JOB`, of this very file.
                start = re.search(rf" {re.escape(path)} j[0-9]+ ", body)
                if start:
                    words = self._supervision(lease).before_file(detaches=True)
                    return f"{body[: start.start()]} {words}{body[start.start() :]}"
        return body

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True, **more: t.Any) -> Result:
        """The connection's own, under a lease.

        Raises:
            Interrupted: the run was interrupted; nothing was sent.
            Whatever the connection raises.
        """
        if not self._guarded:
            return self._exec_command(cmd, in_data=in_data, sudoable=sudoable, **more)
        lease, becomes = self._inside_become, True
        self._inside_become = None
        if lease == _TOO_LONG:
            return self._exec_command(cmd, in_data=in_data, sudoable=sudoable, **more)
        if lease is None or f"/{lease}/" not in cmd:
            lease, becomes = self._lease_of(cmd), False
            line = in_first_shell(self._connection, cmd, functools.partial(self._cookie_and, lease, sudoable=sudoable))
            if not self._fits(line, _LONGEST_WORD):
                return self._exec_command(cmd, in_data=in_data, sudoable=sudoable, **more)
            cmd = line
        # What comes between the building of a module's command and its execution prepares its files, and never asks for become.
        is_module = sudoable and (self._module_next or (self._recording is not None and self._recording.commands))
        self._module_next = self._module_next and not sudoable
        supervised = f"lease={lease}" in cmd
        if supervised and in_data and self._before_stdin:
            in_data, self._before_stdin = self._before_stdin + in_data, b""
        job = _STARTS_JOB.search(cmd) if self.task.detaches else None
        command = Command(lease, becomes, bool(in_data), supervised, job[1] if job else "", payload=sudoable or supervised)
        request = self._request_or_warning(self._departure.added_to(command))
        if request is None or not self._link.take_lease(request):
            return self._recorded(self._exec_command(cmd, in_data=in_data, sudoable=sudoable, **more), is_module)
        result = self._recorded(self._held(lease, cmd, in_data, sudoable, more), is_module)
        if self._job and _JOB_HAS_ENDED.search(_bytes(result[1])):
            # Not when this worker ends: core terminates one that is slow to, and what the job left behind would be taken for a tree in flight.
            self._link.done(self._job)
            self._job = ""
        return result

    def _fits(self, line: str, longest: int) -> bool:
        """Whether the system takes a command line with what guards it. One that is too long goes out as core has made it, and the user is told."""
        if len(line.encode("utf-8", "surrogateescape")) <= longest:
            return True
        self._link.unguarded(self.task.host, self._connection._load_name, "with what guards it, a command line would be longer than the system takes")
        return False

    def _transferred(self, move: t.Callable[..., t.Any], in_path: str, out_path: str, more: t.Mapping[str, t.Any]) -> t.Any:
        """Move a file, under a lease.

        Raises:
            Interrupted: the run was interrupted; nothing was moved.
            Whatever the connection raises.
        """
        if not self._guarded or self._connection.transport == "local":
            return move(in_path, out_path, **more)
        lease = secrets.token_hex(4)
        if not self._link.take_lease(request_for_transfer(self._link.run, lease, self.task.host, self.task.name)):
            return move(in_path, out_path, **more)
        try:
            with self._signals_held(lease), transferring(lease):
                return move(in_path, out_path, **more)
        except BaseException as error:
            # After an error like any other the client has ended. After the task's timeout it goes on.
            if not isinstance(error, Exception):
                self._give_up(lease, lost=False, error=error)
            raise
        finally:
            self._link.done(lease)

    def _held(self, lease: str, cmd: str, in_data: bytes | None, sudoable: bool, more: t.Mapping[str, t.Any]) -> Result:
        self._attempts.begin()
        try:
            with self._signals_held(lease), self._departure.noted(lease):
                result = self._exec_command(cmd, in_data=in_data, sudoable=sudoable, **more)
        except BaseException as error:
            if self._attempts.had_no_session(error):
                self._link.done(lease)
            else:
                self._give_up(lease, lost=isinstance(error, AnsibleConnectionFailure), error=error)
            raise
        if result[0] is not None and result[0] < 0 and not runs_here(self._connection):
            # The client died of a signal: the command has not returned, whatever the client's status says.
            self._break(lease, lost=True)
        elif self.task.asynchronous and _STARTS_JOB.search(cmd):
            # The lease stays open, and the next client of this worker is that of another command.
            self._link.page.note_beginning(lease)
            if self.task.detaches:
                self._link.detach_lease(lease)
            else:
                self._job = lease
                self._link.done_at_exit(lease)
        else:
            self._link.done(lease)
        return result

    def _give_up(self, lease: str, lost: bool, error: BaseException) -> None:
        tried = self._break(lease, lost)
        if tried is not None and not isinstance(error, (KeyboardInterrupt, SystemExit)):
            # The task's timeout, for which core has no word but that it is over. From core 2.19 on a warning is part of the result.
            display.warning(f"treekill.remote: {in_one_line(tried)}")

    def _break(self, lease: str, lost: bool) -> ReportedLease | None:
        """Give the tree up; what came of it. What follows in the play (rescue, always) comes after its end, but for a lost host nobody waits."""
        return self._link.broken(lease, lost, wait=0.0 if lost else self.task.options.timeout + _ORDER_SECONDS)

    # The cookie.

    def _lease_of(self, cmd: str) -> str:
        """The lease that a supervised command names already, or a new one."""
        return self._supervised_lease if self._supervised_lease and f"lease={self._supervised_lease}" in cmd else secrets.token_hex(4)

    def _cookie_and(self, lease: str, body: str, sudoable: bool) -> str:
        # An assignment before the command (TREEKILL=... command) breaks the compound commands that Ansible sends.
        announcement = 'echo "TREEKILL=$TREEKILL"; ' if self._recording else ""
        if self._recording and self._recording.commands and sudoable and self._supervises:
            around = self._supervision(lease).around_words("", f"/bin/sh -c {shlex.quote(body)}")
        else:
            around = self._around_job(lease, body)
        return f"{export_command(self._link.run, lease, self.task.options.keep_on_disconnect)}; {announcement}{around}"

    def _recorded(self, result: Result, is_module: bool) -> Result:
        """Take the root's announcement out of the output again."""
        if self._recording is None:
            return result
        rc, stdout, stderr = result
        said = _bytes(stdout)
        announced = re.search(rb"TREEKILL=([0-9a-f/]+)\r?\n", said)
        if not announced:
            return result
        cookie = parse_cookie(announced[1].decode())
        if is_module:
            self._recording.root = Recorded(cookie.root, cookie.ppid)
        rest = said[: announced.start()] + said[announced.end() :]
        return rc, rest.decode("utf-8", "surrogateescape") if isinstance(stdout, str) else rest, stderr

    # The lease.

    @property
    def _guarded(self) -> bool:
        return self.task.options.track != "none"

    @property
    def _supervises(self) -> bool:
        # A supervisor ends all that is below it: with kill_children false that is not what the user wants.
        options = self.task.options
        return self._guarded and options.supervise and options.children

    def _request_or_warning(self, command: Command) -> LeaseRequest | None:
        """Return the request for the lease; None where the connection does not tell how it could be made anew, and the user was warned."""
        try:
            return request_for_command(self._link.run, self.task, self._connection, command, self._reach())
        except (AnsibleError, AttributeError, KeyError, TypeError, ValueError) as error:
            reason = f"there is no telling how to reach it again: {type(error).__name__}: {error}"
            self._link.unguarded(self.task.host, self._connection._load_name, reason)
            return None

    def _reach(self) -> str:
        """How to reach the host again, as JSON. Made anew only when core has set options: for each task, host and loop item it makes new objects."""
        connection, become = self._connection, self._connection.become
        made_of = (connection._options, connection._shell._options, become, become._options if become else None, connection._play_context)
        if len(self._reach_of) != len(made_of) or any(mine is not now for mine, now in zip(self._reach_of, made_of, strict=True)):
            self._reach_of = made_of
            self._reach_text = to_json(ConnectionSpec.from_connection(connection).to_message())
        return self._reach_text

    def _signals_held(self, lease: str) -> contextlib.AbstractContextManager[None]:
        return signals_held(self._connection, self._link.main.pid, lambda: self._break(lease, lost=False))
