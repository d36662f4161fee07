# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Front ends that run a playbook in an execution environment, with their commands for a row.

A project of them has no `ansible.cfg`, so that of the environment counts. All that a row needs
besides is in its inventory.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.run import controller
from tests.support.run.play import CALLBACK, FrontEnd

from . import fronts, programs
from .execution_environment import IMAGE, Engine

Environ = dict[str, str]

Contained = Callable[[Engine], FrontEnd]

#: Name of the container with a worker of ansible-runner, as a pod has one.
POD = "pod"

_FILES = ("playbook.yml", "daemons.sh", "tree.sh")

#: Where a container of ansible-runner has its private data directory.
_RUNNER = Path("/runner")


def _inventory(directory: Path, project: Path) -> dict[str, object]:
    """Return the hosts of the row. `project`: the path of the project in the container."""
    settings = (directory / "ansible.cfg").read_text()
    targets = json.loads((directory / "targets.json").read_text())
    (lab,) = re.findall(r"^inventory = ([^,]+),", settings, re.MULTILINE)
    addresses = dict(re.findall(r"^(\w+) ansible_host=(\S+)$", Path(lab).read_text(), re.MULTILINE))
    for name, variables in targets["targets"]["hosts"].items():
        variables["ansible_host"] = addresses[name]
    options = {"UserKnownHostsFile": project / "known_hosts", "GlobalKnownHostsFile": "/dev/null"}
    ssh = [f"-o {name}={value}" for name, value in options.items()]
    grace = re.search(r"^kill_timeout = (\S+)$", settings, re.MULTILINE)
    targets["targets"]["vars"].update(
        ansible_python_interpreter="/usr/bin/python3",
        ansible_ssh_common_args=" ".join([*ssh, "-o KexAlgorithms=curve25519-sha256"]),
        **({"treekill_kill_timeout": grace[1]} if grace else {}),
    )
    return dict(targets)


def _write_project(directory: Path, project: Path) -> Path:
    """Write playbook and known host keys, and return the private key.

    For a control there is an `ansible.cfg` as well. It names no callback, and takes the place of
    the one of the environment.
    """
    project.mkdir(parents=True)
    settings = (directory / "ansible.cfg").read_text()
    (lab,) = re.findall(r"^inventory = ([^,]+)/inventory,", settings, re.MULTILINE)
    for path in (*(directory / name for name in _FILES), Path(lab) / "known_hosts"):
        shutil.copy(path, project)
    if CALLBACK not in settings:
        (project / "ansible.cfg").write_text("[defaults]\n")
    return Path(lab) / "key"


def _prepare(environ: Environ, directory: Path, here: Engine) -> None:
    """Leave nothing in the environment that would reach Ansible in the container."""
    for name in [name for name in environ if name.startswith("ANSIBLE_")]:
        del environ[name]
    environ.update(here.environ, HOME=str(directory), ANSIBLE_NOCOLOR="1")


def navigator(*options: str) -> Contained:
    """Return ansible-navigator, which mounts the directory that it is started in.

    `options`: none, or those that leave its artifacts out.
    """

    def at(here: Engine) -> FrontEnd:
        def start(directory: Path, environ: Environ) -> Sequence[str]:
            project = directory / "project"
            shutil.copy(_write_project(directory, project), project / "key")
            inventory = json.dumps(_inventory(directory, project)).replace(
                '"ansible_python_interpreter"',
                f'"ansible_ssh_private_key_file": "{project}/key", "ansible_python_interpreter"',
            )
            (project / "inventory.json").write_text(inventory)
            _prepare(environ, directory, here)
            run = [programs.program("ansible-navigator"), "run", "playbook.yml"]
            image = ["--mode", "stdout", "--execution-environment-image", IMAGE, *options]
            mark = f"{controller.MARK}={environ[controller.MARK]}"
            more = ["-v", "-i", "inventory.json", "--set-environment-variable", mark]
            return fronts.in_shell('cd project && exec "$@"', *run, *image, *more)

        name = "ansible-navigator in an execution environment"
        return FrontEnd(f"{name} without artifacts" if options else name, start)

    return at


def _private_data(directory: Path, environ: Environ, here: Engine) -> Path:
    """Write a private data directory as AWX does: the key is in `env/ssh_key`."""
    place = directory / "private"
    key = _write_project(directory, place / "project")
    for name in ("env", "inventory"):
        (place / name).mkdir()
    shutil.copy(key, place / "env/ssh_key")
    variables = {controller.MARK: environ[controller.MARK], "ANSIBLE_NOCOLOR": "1"}
    (place / "env/envvars").write_text(json.dumps(variables))
    (place / "inventory/hosts.json").write_text(
        json.dumps(_inventory(directory, _RUNNER / "project"))
    )
    fronts.settings(place)
    _prepare(environ, directory, here)
    return place


#: As AWX asks for a container on an execution node, by names of ansible-runner's settings.
_ISOLATION = {
    "process_isolation": True,
    "process_isolation_executable": "podman",
    "container_image": IMAGE,
    "container_options": ["--user=root"],
}


def runner(here: Engine) -> FrontEnd:
    """Return `ansible-runner run` with its playbook in a container."""

    def start(directory: Path, environ: Environ) -> Sequence[str]:
        place = _private_data(directory, environ, here)
        words = [programs.program("ansible-runner"), "run", str(place), "-p", "playbook.yml", "-v"]
        isolation = ["--process-isolation", "--process-isolation-executable", "podman"]
        return [*words, *isolation, "--container-image", IMAGE, "--container-option=--user=root"]

    return FrontEnd("ansible-runner run in an execution environment", start)


def _streamed(directory: Path, place: Path, worker: Sequence[str]) -> list[str]:
    program = programs.program("ansible-runner")
    transmit = [program, "transmit", str(place), "-p", "playbook.yml", "-v"]
    process = [program, "process", str(directory / "processed")]
    return fronts.in_shell(" | ".join(map(shlex.join, (transmit, worker, process))))


def execution_node(here: Engine) -> FrontEnd:
    """Return ansible-runner as AWX runs it on an execution node.

    The worker is outside the container, and starts it.
    """

    def start(directory: Path, environ: Environ) -> Sequence[str]:
        place = _private_data(directory, environ, here)
        fronts.settings(place, **_ISOLATION)
        own = ["--private-data-dir", str(directory / "worker")]
        worker = [programs.program("ansible-runner"), "worker", *own]
        return _streamed(directory, place, worker)

    return FrontEnd("ansible-runner worker that starts an execution environment", start)


def pod(here: Engine) -> FrontEnd:
    """Return ansible-runner as AWX runs it in a container group.

    The worker is in the container, and starts `ansible-playbook` there.
    """

    def start(directory: Path, environ: Environ) -> Sequence[str]:
        place = _private_data(directory, environ, here)
        mark = f"{controller.MARK}={environ[controller.MARK]}"
        options = ["--rm", "--interactive", "--user=root", "--name", POD, "--env", mark]
        words = ["ansible-runner", "worker", "--private-data-dir=/runner"]
        return _streamed(directory, place, ["podman", "run", *options, IMAGE, *words])

    return FrontEnd("ansible-runner worker inside an execution environment", start)
