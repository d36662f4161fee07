# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Other programs: run quietly while they succeed, and with all of their output if they fail."""

from __future__ import annotations

import functools
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Mapping, Sequence

from ._paths import EMPTY_ANSIBLE_CFG, ROOT


class SetupError(Exception):
    """Error that the user can read and act on. It is printed without a traceback."""


def say(text: str) -> None:
    """Print one line of progress on stderr: stdout belongs to results."""
    print(text, file=sys.stderr, flush=True)


#: A hook of git has these in its environment. Each git below it would look at that repository
#: instead of the one in its own directory.
_GIT = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
    "GIT_CONFIG_",
)


@functools.lru_cache(maxsize=None)
def say_once(text: str) -> None:
    """Print the line only the first time."""
    say(text)


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment for a child.

    It is the user's own, without what would steer Ansible, Python or the collection from outside.
    """
    steering = ("ANSIBLE_", "TREEKILL", "PYTHON", "VIRTUAL_ENV", "MYPY", "RUFF_", "PYTEST_", *_GIT)
    environment = {name: text for name, text in os.environ.items() if not name.startswith(steering)}
    # Ansible refuses to start without a UTF-8 locale, and a bare container or a CI service often
    # has none.
    environment.update(
        LC_ALL="C.UTF-8", PYTHONDONTWRITEBYTECODE="1", ANSIBLE_CONFIG=str(empty_ansible_cfg())
    )
    # A clone may belong to another user, as in a container. git must still list its files.
    environment.update(
        GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="safe.directory", GIT_CONFIG_VALUE_0=str(ROOT)
    )
    environment.update(more)
    return environment


def empty_ansible_cfg() -> Path:
    """Return a file with no settings, which keeps ~/.ansible.cfg out.

    Ansible refuses /dev/null: the name must end in .cfg.
    """
    if not EMPTY_ANSIBLE_CFG.exists():
        EMPTY_ANSIBLE_CFG.parent.mkdir(parents=True, exist_ok=True)
        EMPTY_ANSIBLE_CFG.touch()
    return EMPTY_ANSIBLE_CFG


def run(
    argv: Sequence[object], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Run to the end and return what it printed, stdout and stderr together.

    If it fails, raise SetupError with all of it.
    """
    words = [str(word) for word in argv]
    done = subprocess.run(
        words,
        cwd=str(cwd) if cwd else None,
        env=dict(env) if env is not None else clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise SetupError(
            f"{done.stdout.rstrip()}\nexit status {done.returncode} of: {shell_line(words)}"
        )
    return done.stdout


def foreground(
    argv: Sequence[object], *, cwd: Path, env: Mapping[str, str], stdin: int | None = None
) -> int:
    """Run with this process's stdout and stderr to the end.

    Return the exit status as a shell gives it. Not subprocess.run: that kills its child a quarter
    of a second after Ctrl-C, and tests would leave their hosts behind.
    """
    running: list[subprocess.Popen[bytes]] = []

    def forward(number: int, dummy: object) -> None:
        for child in running:
            child.send_signal(number)

    def leave(dummy_number: int, dummy: object) -> None:
        """Do nothing.

        The terminal sends INT to the child too, and a second one from here would mean more than the
        user wanted.
        """

    # Functions, not SIG_IGN: a child would inherit that.
    answers = {signal.SIGINT: leave, signal.SIGTERM: forward, signal.SIGHUP: forward}
    before = {
        number: signal.signal(number, answer)
        for number, answer in answers.items()
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        running.append(
            subprocess.Popen([str(word) for word in argv], cwd=str(cwd), env=dict(env), stdin=stdin)
        )
        status = running[0].wait()
    finally:
        for number, answer in before.items():
            signal.signal(number, answer)
    return status if status >= 0 else 128 - status


def shell_line(words: Sequence[str]) -> str:
    """Return the command as a user would type it."""
    return " ".join(shlex.quote(word) for word in words)
