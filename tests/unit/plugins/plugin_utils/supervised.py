# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One module with and without a supervisor.

Its command lines are as they go to a host. The results are compared.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible_collections.treekill.remote.plugins.plugin_utils._core import options as kill_options
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import GuardedTask
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.cache import programs
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.supervisor_command import (
    Supervision,
)

from tools.environment._made_pythons import every_python

PATIENCE = 60.0
PYTHONS = {
    ".".join(map(str, version)): one.path
    for version, one in every_python().items()
    if version >= (3, 6)
}
#: Pythons that hosts have. The figures are about these.
PYTHON = (
    "/usr/bin/python3"
    if os.path.exists("/usr/bin/python3")
    else PYTHONS[max(PYTHONS, key=lambda name: int(name.partition(".")[2]))]
)
_OLD_PYTHONS = (
    "python2",
    "python2.7",
    "python3.5",
    *map(str, Path.home().glob(".pyenv/versions/2.7*/bin/python2.7")),
)


def old_python() -> str | None:
    """Return a Python that is too old for a supervisor, if one runs here."""
    for path in _OLD_PYTHONS:
        if (
            shutil.which(path)
            and subprocess.run(
                [path, "-c", "pass"], check=False, stderr=subprocess.DEVNULL
            ).returncode
            == 0
        ):
            return path
    return None


@dataclass(frozen=True)
class Module:
    """A module and its way to the host.

    text: of the script. way: `stdin` (pipelined), `file`, `words` (no Python script). python: what
    runs it, and the supervisor. flags: of that. program: what runs a script that is none of
    Python's. arguments: of the module. keep: `on_disconnect: keep`. after: on the shell's command
    line. detaches: whether it leaves a job behind, with which the supervisor stays. retries:
    whether the connection plugin may send it a second time. session: whether it runs below an ssh
    server and a become plugin's program. window: whether a kill order may come as the size of the
    terminal. retry_for: seconds for which couriers try to reach the host.
    """

    text: str
    folder: Path
    way: str = "file"
    python: str = PYTHON
    flags: str = ""
    program: str = "/bin/sh"
    arguments: Sequence[str | bytes] = ()
    keep: bool = False
    after: str = ""
    detaches: bool = False
    retries: bool = False
    session: bool = False
    window: bool = False
    retry_for: float = 60.0
    timeout: float = 10.0
    run: str = "00000000000000ab"
    lease: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "lease", self.lease or secrets.token_hex(4))

    @property
    def path(self) -> Path:
        """Return the script on the host. It is one file with and without a supervisor."""
        path = self.folder / "AnsiballZ_probe.py"
        if not path.exists():
            path.write_text(
                f"{self.text}\n#{programs().supervisor}" if self.way == "file" else self.text
            )
            path.chmod(0o755)
        return path

    def again(self) -> Module:
        """Return it under another lease."""
        return replace(self, lease=secrets.token_hex(4))

    def shell(self, supervised: bool) -> bytes:
        """Return the command line for the shell on the host."""
        supervision = self._supervision()
        python = f"{shlex.quote(self.python)} {self.flags}".strip()
        if self.way == "stdin":
            words = [python, supervision.before_stdin()[0]] if supervised else [python]
        elif self.way == "file":
            words = [python, supervision.before_file(self.detaches)] if supervised else [python]
            words.append(shlex.quote(str(self.path)))
        else:
            words = [python, supervision.before_words()] if supervised else []
            words += [self.program, shlex.quote(str(self.path))]
        line = b" ".join(
            [*(word.encode() for word in words), *(quoted(argument) for argument in self.arguments)]
        )
        return b"export TREEKILL=%s/%s/$$/$PPID; %s %s && sleep 0" % (
            self.run.encode(),
            self.lease.encode(),
            line,
            self.after.encode(),
        )

    def argv(self, supervised: bool) -> list[str | bytes]:
        """Return the process that sshd starts."""
        return ["/bin/sh", "-c", self.shell(supervised)]

    def alone(self, supervised: bool) -> list[str | bytes]:
        """Return the words without a shell, which would change what children inherit and see."""
        line = self.shell(supervised).partition(b"; ")[2].removesuffix(b" && sleep 0")
        return [
            "/usr/bin/env",
            f"TREEKILL={self.run}/{self.lease}/{os.getpid()}/1",
            *shlex.split(os.fsdecode(line)),
        ]

    def on_stdin(self, supervised: bool, content: bytes = b"") -> bytes:
        """Return what the controller sends."""
        if self.way != "stdin":
            return content
        return (self._supervision().before_stdin()[1] if supervised else b"") + self.text.encode()

    def _supervision(self) -> Supervision:
        options = kill_options.resolve(
            {},
            {
                "kill_timeout": self.timeout,
                "kill_retry_for": self.retry_for,
                "on_disconnect": "keep" if self.keep else "kill",
            },
        )
        task = GuardedTask(
            host="here", name="a task", options=options, interpreters=(), show_arguments=True
        )
        return Supervision(
            self.run,
            self.lease,
            task,
            again=self.retries,
            session=self.session,
            window=self.window,
        )


def quoted(argument: str | bytes) -> bytes:
    """Quote as shlex.quote does, for any bytes."""
    return b"'%s'" % os.fsencode(argument).replace(b"'", b"'\"'\"'")


@dataclass(frozen=True)
class Outcome:
    """Result that the controller gets."""

    status: int
    out: bytes
    err: bytes


def outcome(module: Module, supervised: bool, stdin: bytes = b"", **options: Any) -> Outcome:
    """Run it to its end."""
    done = subprocess.run(
        module.argv(supervised),
        input=module.on_stdin(supervised, stdin),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
        start_new_session=True,
        **options,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def both(module: Module, stdin: bytes = b"", **options: Any) -> tuple[Outcome, Outcome]:
    """Return the outcome with a supervisor, and the one without."""
    return outcome(module, True, stdin, **options), outcome(module, False, stdin, **options)
