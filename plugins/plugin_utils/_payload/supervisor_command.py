# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way of the supervisor to the host: its start is on the command line, its program elsewhere.

Private to the collection treekill.remote.

On the command line, every process list would show the program, and sudo would write all of it to
the system's log. So the program comes on standard input before a pipelined module. For a module
that is a file, it is the last line of that file, a comment.
"""

from __future__ import annotations

import base64
import dataclasses
import math
import os
import shlex
import typing as t

from ansible import constants as C
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import KillRequest
from ansible_collections.treekill.remote.plugins.module_utils._lease.request_words import (
    request_words,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.cache import programs

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import GuardedTask

#: Python before 3.6 runs the module without a supervisor.
_TOO_OLD = "sys.version_info<(3,6)and os.execv(sys.executable,[sys.executable]+sys.argv[2:])"

#: Reads exactly its own bytes: the rest belongs to the module. It has no single quote, since each
#: takes four characters on every level of quoting.
_FROM_STDIN = (
    "import os,sys;r=lambda n:n and(lambda c:c+r(n-len(c)))(os.read(0,n)or os._exit(1))or"
    ' b"";b=r({length});'
    f"{_TOO_OLD};"
    'exec(b[:{start}],{{"b":b[{start}:]}})'
)

_FROM_FILE = (
    f"import os,sys,binascii;{_TOO_OLD};"
    'f=open(sys.argv[2],"rb");f.seek(-{length},2);b=binascii.a2b_base64(f.read());f.close();'
    'exec(b[:{start}],{{"b":b[{start}:]}})'
)

_FROM_WORD = (
    "import os,sys,binascii;b=binascii.a2b_base64(sys.argv.pop(2));"
    "sys.version_info<(3,6)and os.execvp(sys.argv[3],sys.argv[3:]);"
    'exec(b[:{start}],{{"b":b[{start}:]}})'
)

#: The beginning of a command line that has a supervisor if the host has a Python, and what comes
#: before the supervised command.
SEARCHES_PYTHON, THEN = "if treekill_python=$", "; then "

#: The words of a request with only default values.
_USUAL_WORDS = frozenset(request_words(KillRequest()))

#: Seconds that a courier's last try may take (see ATTEMPT_TIMEOUT), and the most seconds of tries
#: for which a host keeps a report.
_REPORT_SECONDS, _RETRY_SECONDS = 30, 600
#: The seconds for which a supervisor keeps a report if it is not told another number.
_USUAL_REPORT_SECONDS = 90

#: Characters of a task's name that ps shows.
_TASK_CHARACTERS = 60


@dataclasses.dataclass(frozen=True)
class Supervision:
    """The supervisor of one command."""

    run: str
    lease: str
    task: GuardedTask
    #: Whether the connection plugin may send the command a second time by itself.
    again: bool = False
    #: Whether it runs below the ssh server of its connection. A program between the two may keep
    #: the output open when the channel breaks.
    session: bool = False
    #: Whether a pulse shows the end of the run on this host.
    pulse: bool = False
    #: Whether a kill order may come as the size of the terminal, if the command has one.
    window: bool = False

    def before_stdin(self) -> tuple[str, bytes]:
        """Return the words and the bytes before a module on standard input.

        The words come after the interpreter.
        """
        made = programs()
        program = base64.b64decode(made.supervisor)
        return self._words(
            _FROM_STDIN.format(length=len(program), start=made.supervisor_start)
        ), program

    def before_file(self, detaches: bool = False) -> str:
        """Return the words between the interpreter and a module's path.

        The file was prepared by `append_program`.

        Args:
            detaches: whether the command leaves a job behind, with which the supervisor stays.
        """
        made = programs()
        return self._words(
            _FROM_FILE.format(length=len(made.supervisor), start=made.supervisor_start), detaches
        )

    def before_words(self) -> str:
        """Return the words between an interpreter and a command line that is no Python script."""
        made = programs()
        return (
            f"{self._words(_FROM_WORD.format(start=made.supervisor_start))} {made.supervisor} exec"
        )

    def around_words(self, environment: str, command: str) -> str:
        """Return a command line that is no Python script, in a supervisor if the host has a Python.

        `environment` is at the beginning of the command line.
        """
        environment = environment.strip()
        words = command.removeprefix(environment).strip()
        search = " || ".join(f"command -v {shlex.quote(name)}" for name in self.task.interpreters)
        supervised = f'{environment} "$treekill_python" {self.before_words()} {words}'
        return f"{SEARCHES_PYTHON}({search}){THEN}{supervised}; else {command}; fi"

    def _words(self, bootstrap: str, detaches: bool = False) -> str:
        return f"-c {shlex.quote(bootstrap)} {shlex.quote(self._request(detaches))}"

    def _request(self, detaches: bool) -> str:
        options = self.task.options
        request = options.request(self.run, self.lease, arguments=self.task.show_arguments)
        words = [word for word in request_words(request) if word not in _USUAL_WORDS]
        if options.keep_on_disconnect:
            words.append("watch=0")
        if self.again:
            words.append("again=1")
        if detaches:
            words.append("async=1")
        elif self.session:
            words.append("session=1")
        if self.pulse:
            words.append("pulse=1")
        if self.window and not detaches:
            words.append("window=1")
        if self._report_seconds() != _USUAL_REPORT_SECONDS:
            words.append(f"report={self._report_seconds()}")
        if self.task.show_arguments:
            # Encoded: a task named "Stop foo" that runs `pkill -f foo` would otherwise find this
            # command line, and end itself.
            name = base64.urlsafe_b64encode(self.task.name[:_TASK_CHARACTERS].encode()).decode()
            words.append(f"task={name.rstrip('=')}")
        return " ".join(words)

    def _report_seconds(self) -> int:
        """Return the seconds for which a report is kept for the couriers of a living guardian."""
        return _REPORT_SECONDS + math.ceil(min(self.task.options.retry_for, _RETRY_SECONDS))


def is_python(interpreter: str) -> bool:
    """Whether a module's interpreter is Python, by the words that start the module."""
    return bool(python_of(interpreter))


def python_of(interpreter: str) -> str:
    """Return the word that names the Python interpreter; empty if there is none."""
    return next(
        (
            word
            for word in interpreter.split()
            if os.path.basename(word).startswith("python") or word.endswith("/platform-python")
        ),
        "",
    )


def append_program(path: str) -> str:
    """Add the program to a module on its way to the host.

    Returns:
        The words that start the module. They are empty if the file is not a copy of a Python script
        that core has made. Then nothing was added.
    """
    folder = os.path.realpath(str(C.DEFAULT_LOCAL_TMP))
    if os.path.dirname(os.path.realpath(path)) != folder:
        return ""
    with open(path, "r+b") as module:
        first = module.readline(4096).decode("utf-8", "replace")
        if not first.startswith("#!") or not is_python(first[2:]):
            return ""
        module.seek(0, os.SEEK_END)
        module.write(f"\n#{programs().supervisor}".encode("ascii"))
    return first[2:].strip()
