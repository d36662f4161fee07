# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A user's shell. The commands of a page are typed into it, and have to end well."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.hosts import Lab
from tests.support.run.run import program

#: Set by `make` for what it runs, and by users that have called it with options.
_OF_MAKE = ("MAKE", "MFLAGS", "CORE", "ON_PYTHON", "PYTEST_ARGS", "PYTHON", "VIRTUAL_ENV")


@dataclass
class Shell:
    """A shell in a directory, with an environment."""

    directory: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    def run(self, command: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Type a command, and wait for its end."""
        return subprocess.run(
            ["/bin/bash", "-c", command],
            cwd=self.directory,
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def type(self, command: str, seconds: float = 120) -> str:
        """Return what a command wrote to standard output. It has to end with status 0."""
        done = self.run(command, seconds)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def clean_environ() -> dict[str, str]:
    """Return the environment of a user: nothing in it steers Ansible, the collection or make."""
    steering = ("ANSIBLE_", "TREEKILL", *_OF_MAKE, "PYTEST_")
    return {
        **{name: text for name, text in os.environ.items() if not name.startswith(steering)},
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_NOCOLOR": "1",
    }


def with_ansible(directory: Path) -> Shell:
    """Return a shell with the programs of the core that the tests run in.

    `~` and Ansible's own files are in that directory, and no collection is installed.
    """
    directory.mkdir(exist_ok=True)
    path = f"{Path(program('ansible')).parent}:{os.environ['PATH']}"
    places = {
        "HOME": str(directory),
        "ANSIBLE_HOME": str(directory / ".ansible"),
        "TMPDIR": str(directory),
    }
    return Shell(directory, {**clean_environ(), "PATH": path, **places})


def with_lab(directory: Path, lab: Lab) -> Shell:
    """Return such a shell with the collection, and hosts to work on."""
    shell = with_ansible(directory)
    more = {
        "ANSIBLE_COLLECTIONS_PATH": os.environ["ANSIBLE_COLLECTIONS_PATH"],
        "ANSIBLE_INVENTORY": str(lab.inventory),
    }
    return Shell(directory, {**shell.environ, **more, "ANSIBLE_SSH_ARGS": "-o ControlMaster=no"})
