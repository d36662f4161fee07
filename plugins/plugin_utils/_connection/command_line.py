# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command lines of a guarded connection: cookie, supervisor, and the announcement of a root."""

from __future__ import annotations

import dataclasses
import os
import re
import secrets
import shlex
import typing as t

from ansible_collections.treekill.remote.plugins.module_utils._lease.cookie import (
    export_command,
    parse_cookie,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.shell_command import (
    unquoted,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._core.transports import (
    has_engine,
    is_ssh,
    passes_window_on,
    runs_here,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.supervisor_command import (
    SEARCHES_PYTHON,
    THEN,
    Supervision,
    append_program,
    python_of,
)

if t.TYPE_CHECKING:
    from ansible.plugins.connection import ConnectionBase
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import GuardedTask

#: Core's type is bytes. Some plugins return text (lxd, incus), and core accepts it.
Result = tuple[int, "bytes | str", "bytes | str"]

#: Name on the host of core's program that starts asynchronous jobs.
_ASYNC_WRAPPER = "async_wrapper.py"

#: The command that starts a job, with the job's id after the path. Other commands name the path as
#: well, for example to make it executable.
_STARTS_JOB = re.compile(rf"{re.escape(_ASYNC_WRAPPER)}\S* (j[0-9]+) ")

#: The output of a poll whose job has ended. The output of the job itself is in strings there, with
#: escaped quotation marks.
_JOB_HAS_ENDED = re.compile(rb'"finished": ?(?:1|true)\b')

#: The marks of the task that gathered facts. A play may pass them from ansible_facts.env to a later
#: task by `environment`.
_MARKS_OF_OTHER_LEASE = re.compile(
    r"\bTREEKILL(?:=[0-9a-f]{16}/[0-9a-f]{8}/[0-9]+/[0-9]+"
    r"|_KEEP=1|_SOCKET=(?:'[^']*'|\S*))(?:\s+|$)"
)

#: Lets a shell outlive the hang-up of its terminal, until what it runs has ended. If the leader of
#: a session dies, the kernel hangs up the whole foreground. The kernel resets a handler in what the
#: shell executes: so the task's own processes see nothing of it. Without Linux there is no
#: supervisor, and the hang-up is to end the command.
OUTLIVES_HANG_UP = "[ ! -d /proc/self/task ] || trap exit HUP; "

#: Become plugins whose command systemd starts, on a terminal of its own. What they run on the
#: terminal of the connection has to end with that, since it holds the other terminal open. run0
#: waits for its command, although both of its own streams are gone.
_BY_SYSTEMD = ("machinectl", "run0")

#: Interpreters that are Python 3.6 or later, on each host that ansible-core supports. An older one
#: runs its module without a supervisor. Then only the hang-up would end it.
_NEW_PYTHON = re.compile(r"python3|platform-python")

#: The limit of a command line, and of one inside become, which is quoted once more. The kernel
#: accepts 128 KiB in one word.
MAX_WORD_BYTES, MAX_INNER_BYTES = 120 * 1024, 80 * 1024


@dataclasses.dataclass(frozen=True)
class RemoteRoot:
    """The pid of a command's root on its host, and the pid of the root's parent."""

    remote_pid: int
    remote_ppid: int


@dataclasses.dataclass
class Recording:
    """The root that is recorded while an action runs."""

    #: Whether the action runs command lines of its own, and not a module. Each of them that may use
    #: become is then recorded and supervised.
    commands: bool
    #: The root of the last module or command line.
    root: RemoteRoot | None = None


class CommandLines:
    """The guard in the text of commands: it is put around them, and removed from their output."""

    def __init__(
        self, connection: ConnectionBase, run: str, task: t.Callable[[], GuardedTask]
    ) -> None:
        """`task` returns the task that the next command is for."""
        self._connection = connection
        self._run = run
        self._task = task
        self.recording: Recording | None = None
        self._supervised_lease = ""
        self._before_stdin = b""
        self._program_carriers: set[str] = set()
        self._left_to_hang_up = ""

    @property
    def supervises(self) -> bool:
        """Whether commands get a supervisor."""
        # A supervisor ends its descendants. With kill_children false the user wants them to live.
        options = self._task().options
        return options.track != "none" and options.supervise and options.children

    def needs_pulse(self, starts_job: bool) -> bool:
        """Whether a pulse has to show the host that the run goes on.

        A job with poll 0 outlives its run, unless kill_async is set. What is on this machine ends
        with it. Without a job, the end of the channel shows it, except in a container.

        `starts_job`: whether the command starts an asynchronous job.
        """
        task = self._task()
        if task.options.keep_on_disconnect or runs_here(self._connection):
            return False
        if starts_job:
            return not task.detaches or task.options.end_async
        return has_engine(self._connection)

    @property
    def records_commands(self) -> bool:
        """Whether command lines of an action are recorded."""
        return self.recording is not None and self.recording.commands

    def add_program(self, in_path: str, out_path: str) -> str:
        """Append the supervisor's program to a module before its transfer to the host.

        Returns:
            The module's interpreter; empty if nothing was appended.
        """
        name = os.path.basename(out_path)
        if not self.supervises or not (name.startswith("AnsiballZ_") or name == _ASYNC_WRAPPER):
            return ""
        interpreter = append_program(in_path)
        if interpreter:
            self._program_carriers.add(out_path)
        return interpreter

    def with_program(self, in_data: bytes) -> bytes:
        """Return the standard input of a supervised module, after the supervisor's program."""
        before, self._before_stdin = self._before_stdin, b""
        return before + in_data

    def around_module(self, command: str, env_string: str, interpreter: str, cmd: str) -> str:
        """Return the command of a module with a supervisor around it.

        `cmd` is the path of the module. It is empty for a module on standard input.
        """
        if not self.supervises:
            return command
        self._supervised_lease, self._before_stdin = secrets.token_hex(4), b""
        supervision = self.supervision(self._supervised_lease)
        self._left_to_hang_up = ""
        python = python_of(interpreter)
        if not python:
            return supervision.around_words(env_string, command)
        if not cmd.strip() or not _NEW_PYTHON.match(os.path.basename(python)):
            self._left_to_hang_up = self._supervised_lease
        if not cmd.strip():
            words, self._before_stdin = supervision.before_stdin()
            return f"{command} {words}"
        # Versions of core quote a path differently, if it needs quotes.
        before, path, after = command.rpartition(shlex.quote(cmd))
        if cmd in self._program_carriers and path:
            return f"{before}{supervision.before_file()} {path}{after}"
        return supervision.around_words(env_string, command)

    def supervision(self, lease: str, starts_job: bool = False) -> Supervision:
        """Return the supervisor of a command.

        The ssh plugin repeats a command up to `reconnection_retries` times.

        `starts_job`: as for `needs_pulse`.
        """
        retries = (
            self._connection.get_option("reconnection_retries")
            if "reconnection_retries" in self._connection._options
            else 0
        )
        # A program of become or of a forced command may hold the output open. With connections
        # other than ssh, the nearest ssh server may be the one through which the user has logged in
        # to this controller.
        session = is_ssh(self._connection)
        pulse = self.needs_pulse(starts_job)
        return Supervision(
            self._run,
            lease,
            self._task(),
            again=bool(retries),
            session=session,
            pulse=pulse,
            window=passes_window_on(self._connection),
        )

    def _around_job(self, lease: str, body: str) -> str:
        """Return the command that starts an asynchronous job with a supervisor around the job.

        Core builds this command without its shell plugin.
        """
        for path in self._program_carriers:
            if os.path.basename(path) == _ASYNC_WRAPPER and path in body:
                # As `_STARTS_JOB`, for this path only.
                start = re.search(rf" {re.escape(path)} j[0-9]+ ", body)
                if start:
                    words = self.supervision(lease, starts_job=True).before_file(detaches=True)
                    return f"{body[: start.start()]} {words}{body[start.start() :]}"
        return body

    def lease_of(self, cmd: str) -> str:
        """Return the lease that a supervised command names; otherwise a new lease."""
        return (
            self._supervised_lease
            if self._supervised_lease and f"lease={self._supervised_lease}" in cmd
            else secrets.token_hex(4)
        )

    def with_cookie(self, lease: str, body: str, sudoable: bool) -> str:
        """Return the body of a command with cookie, announcement and supervisor, as far as needed.

        The cookie is exported: an assignment before the command (TREEKILL=... command) breaks the
        compound commands that Ansible sends.
        """
        announcement = 'echo "TREEKILL=$TREEKILL"; ' if self.recording else ""
        if self.recording and self.recording.commands and sudoable and self.supervises:
            around = self.supervision(lease).around_words("", f"/bin/sh -c {shlex.quote(body)}")
        else:
            around = self._around_job(lease, body)
        export = export_command(self._run, lease, self._task().options.keep_on_disconnect)
        trap = OUTLIVES_HANG_UP if self._may_hang_up(lease, around) else ""
        if around.startswith(SEARCHES_PYTHON):
            # A host without Python has no supervisor.
            search, then, rest = around.partition(THEN)
            around, trap = f"{search}{then}{trap}{rest}", ""
        return f"{export}; {trap}{announcement}{around}"

    def in_leader(self, lease: str, cmd: str) -> str:
        """Return a command that uses become, in a shell that outlives the hang-up of its terminal.

        `cmd` is what core gives to the connection. A raw command has no shell: the program of
        become leads the session, or the login shell does.
        """
        shell, dash_c, quoted = cmd.partition(" -c ")
        if (
            not self._may_hang_up(lease, cmd)
            or self._becomes_by_systemd
            or not dash_c
            or shell != self._connection._play_context.executable
        ):
            return cmd
        body = unquoted(quoted)
        return cmd if body is None else f"{shell} -c {shlex.quote(OUTLIVES_HANG_UP + body)}"

    def _may_hang_up(self, lease: str, cmd: str) -> bool:
        """Whether a terminal may be hung up, and a supervisor then ends the command.

        ssh gives no terminal to a module that comes on standard input.
        """
        return (
            is_ssh(self._connection) and lease != self._left_to_hang_up and f"lease={lease}" in cmd
        )

    @property
    def _becomes_by_systemd(self) -> bool:
        name = str(getattr(self._connection.become, "name", ""))
        return name.rpartition(".")[2] in _BY_SYSTEMD

    def take_announcement(self, result: Result, is_module: bool) -> Result:
        """Remove the root's announcement from the output, and record the root of a module."""
        if self.recording is None:
            return result
        rc, stdout, stderr = result
        output = _bytes(stdout)
        announced = re.search(rb"TREEKILL=([0-9a-f/]+)\r?\n", output)
        if not announced:
            return result
        cookie = parse_cookie(announced[1].decode())
        if is_module:
            self.recording.root = RemoteRoot(cookie.root, cookie.ppid)
        rest = output[: announced.start()] + output[announced.end() :]
        return (
            rc,
            rest.decode("utf-8", "surrogateescape") if isinstance(stdout, str) else rest,
            stderr,
        )


def fits(line: str, most: int) -> bool:
    """Whether a command line has at most `most` bytes."""
    return len(line.encode("utf-8", "surrogateescape")) <= most


def without_other_marks(env_string: str) -> str:
    """Return the environment of a module without the marks of another lease."""
    return _MARKS_OF_OTHER_LEASE.sub("", env_string)


def started_job(cmd: str) -> str:
    """Return the id of the asynchronous job that a command line starts; empty if there is none."""
    job = _STARTS_JOB.search(cmd)
    return job[1] if job else ""


def job_has_ended(result: Result) -> bool:
    """Whether a poll reports that its job has ended."""
    return bool(_JOB_HAS_ENDED.search(_bytes(result[1])))


def _bytes(output: bytes | str) -> bytes:
    return output.encode("utf-8", "surrogateescape") if isinstance(output, str) else output
