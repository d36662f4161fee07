# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run of any play.

Its tasks, options and surroundings are written down, and it is started. No process or file of it is
left when the block ends.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.hosts import Lab
from tests.support.run.play import CALLBACK, Setting
from tests.support.run.run import Run, environ_of, kept, launch, program
from tests.support.trees import tree

Task = Mapping[str, Any]


@dataclass(frozen=True)
class Play:
    """One play of `ansible-playbook`, and all that is around it.

    In its texts `{{ row }}` is the mark of the run.
    """

    tasks: Sequence[Task] = ()
    text: str = ""  #: a whole playbook as a page has it, instead of one with these tasks
    hosts: Sequence[str] = ("web1",)
    keywords: Mapping[str, Any] = field(default_factory=dict)  #: of the play
    variables: Mapping[str, Any] = field(default_factory=dict)  #: of all hosts
    host_variables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    options: Mapping[str, object] = field(
        default_factory=dict
    )  #: section [treekill] of ansible.cfg
    sections: Mapping[str, Mapping[str, object]] = field(
        default_factory=dict
    )  #: more of ansible.cfg
    #: A whole ansible.cfg as a page has it, instead of options and sections. Settings that it lacks
    #: are in the environment.
    configuration: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()  #: more of ansible-playbook
    files: Mapping[str, str] = field(default_factory=dict)  #: beside the playbook
    kinds: Sequence[str] = tree.COOPERATIVE  #: of processes that the task `grow` starts
    grown_too: str = ""  #: shell commands that start more processes of that tree
    collection: bool = True
    terminal: bool = False
    before: Sequence[
        str
    ] = ()  #: words before `ansible-playbook`: a program that does its work and then executes it
    parent: str = "/tmp"  #: where the directory of the run is made


@contextmanager
def started(lab: Lab, play: Play) -> Iterator[Run]:
    """Start it.

    At the end of the block, what is left of it on this machine is killed, and its directory is
    removed.
    """
    with kept(lambda row, directory: _start(row, directory, lab, play), play.parent) as run:
        yield run


@dataclass(frozen=True)
class Finished:
    """The output and the status of a program that has ended."""

    status: int  #: exit status, negative for a signal
    output: str
    errors: str


def follow(run: Run, command: str, seconds: float = 60) -> Finished:
    """Run a command line where the run was, as its user would.

    It has the run's directory and environment, and is pasted into a shell.
    """
    environ = {
        **json.loads((run.directory / "environ.json").read_text()),
        "PATH": f"{Path(program('ansible-playbook')).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=run.directory,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def _start(row: str, directory: Path, lab: Lab, play: Play) -> Run:
    _write(row, directory, lab, play)
    argv = [
        *play.before,
        program("ansible-playbook"),
        str(directory / "playbook.yml"),
        *play.arguments,
    ]
    places = {"TMPDIR": str(directory / "tmp"), "HOME": str(directory)}
    unsaid = of_lab(directory, lab) if play.configuration else {}
    environ = {
        **environ_of(row, directory, collection=play.collection),
        **places,
        **unsaid,
        **play.environ,
    }
    (directory / "environ.json").write_text(json.dumps(environ))
    setting = Setting(hosts=len(play.hosts), kinds=tuple(play.kinds))
    return launch(row, directory, setting, argv, environ, terminal=play.terminal)


def _write(row: str, directory: Path, lab: Lab, play: Play) -> None:
    (directory / "tmp").mkdir()
    targets = {
        "hosts": {name: play.host_variables.get(name, {}) for name in play.hosts},
        "vars": {"row": row, **play.variables},
    }
    (directory / "targets.json").write_text(json.dumps({"targets": targets}))
    content = [
        {
            "name": "A play",
            "hosts": "targets",
            "gather_facts": False,
            **play.keywords,
            "tasks": list(play.tasks),
        }
    ]
    # JSON is YAML.
    (directory / "playbook.yml").write_text(play.text or json.dumps(content, indent=1))
    (directory / "tree.sh").write_text(
        tree.script(row, play.kinds).replace("(live plain) &", f"{play.grown_too}\n(live plain) &")
    )
    for name, text in play.files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    (directory / "ansible.cfg").write_text(
        play.configuration or _configuration(directory, lab, play)
    )


def of_lab(directory: Path, lab: Lab) -> dict[str, str]:
    """Return the settings that an ansible.cfg without a lab leaves to the environment."""
    inventory = f"{lab.inventory},{directory}/targets.json"
    return {
        "ANSIBLE_INVENTORY": inventory,
        "ANSIBLE_INVENTORY_ENABLED": "ini,yaml",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": f"{directory}/cp",
    }


def _configuration(directory: Path, lab: Lab, play: Play) -> str:
    sections: dict[str, dict[str, object]] = {
        "defaults": {
            "inventory": f"{lab.inventory},{directory}/targets.json",
            **({"callbacks_enabled": CALLBACK} if play.collection else {}),
        },
        "inventory": {"enable_plugins": "ini, yaml"},
        # Short, because the name of a socket has some hundred characters at most.
        "ssh_connection": {"control_path_dir": f"{directory}/cp"},
        "treekill": {**play.options},
    }
    for section, entries in play.sections.items():
        sections.setdefault(section, {}).update(entries)
    return "".join(
        f"[{section}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for section, entries in sections.items()
    )
