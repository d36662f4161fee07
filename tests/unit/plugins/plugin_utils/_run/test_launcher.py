# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The launcher of a run: the program that waits for it.

The tests show what is taken for one, and what is not, with real processes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._run import launcher
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import identify

VARIABLE = "AWX_ISOLATED_DATA_DIR"
JOB = {VARIABLE: "/somewhere/artifacts/1"}

#: A line of shell, or of Python, that starts the run and prints its pid.
SHELL = "sleep 7200 & echo $!; wait"
PYTHON = (
    "import subprocess; child = subprocess.Popen(['sleep', '7200']); print(child.pid, "
    "flush=True); child.wait()"
)


@contextmanager
def started(*argv: str, environ: dict[str, str]) -> Iterator[tuple[int, int]]:
    """Return the pids of a program, which starts a run, and of that run."""
    clean = {name: value for name, value in os.environ.items() if name != VARIABLE}
    with subprocess.Popen(
        argv, env={**clean, **environ}, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as program:
        assert program.stdout is not None
        try:
            yield program.pid, int(program.stdout.readline())
        finally:
            os.killpg(program.pid, signal.SIGKILL)


def found(run: int, environ: dict[str, str]) -> launcher.Launcher | None:
    return launcher.find(run, {name.encode(): value.encode() for name, value in environ.items()})


def test_ansible_pull_is_one(tmp_path: Path) -> None:
    script = tmp_path / "ansible-pull"
    script.write_text(SHELL)
    with started("sh", str(script), environ={}) as (program, run):
        assert found(run, {}) == launcher.Launcher("ansible-pull", identify(program))


@pytest.mark.parametrize(
    "argv", [("sh", "-c", SHELL), (sys.executable, "-c", PYTHON)], ids=["shell", "Python"]
)
def test_whatever_else_starts_a_run_is_none(argv: tuple[str, ...]) -> None:
    with started(*argv, environ={}) as (dummy, run):
        assert found(run, {}) is None


def test_what_has_set_the_variable_of_ansible_runner_is_one() -> None:
    with started(sys.executable, "-c", PYTHON, environ={}) as (program, run):
        assert found(run, JOB) == launcher.Launcher("ansible-runner", identify(program))


def test_a_job_of_ansible_runner_is_one_for_another_job() -> None:
    with started(sys.executable, "-c", PYTHON, environ={VARIABLE: "/somewhere/else"}) as (
        program,
        run,
    ):
        assert found(run, JOB) == launcher.Launcher("ansible-runner", identify(program))


def test_the_shell_that_ansible_runner_starts_for_its_ssh_agent_is_passed_over() -> None:
    with started("sh", "-c", SHELL, environ=JOB) as (dummy, run):
        assert found(run, JOB) == launcher.Launcher("ansible-runner", identify(os.getpid()))


def test_what_a_job_of_ansible_runner_has_started_itself_has_no_launcher() -> None:
    """A task leaves a playbook running on purpose.

    It inherited the variable, as did the module that started it.
    """
    with started(sys.executable, "-c", PYTHON, environ=JOB) as (dummy, run):
        assert found(run, JOB) is None
