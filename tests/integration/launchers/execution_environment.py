# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The execution environment of the guide, built by ansible-builder and podman.

Its definition is `docs/guides/execution-environment.yml`. Four things are replaced:

- the base image, since no registry is asked: it is made here of a Debian tree with Python and pip,
- the package manager, since that of Debian has another name,
- the step that installs pip by `ensurepip`, which Debian's Python does not have,
- the source of the collection: the tarball of this very tree takes the place of Galaxy.

ansible-core and ansible-runner come from PyPI. Builds and containers have the network of this
machine, since the test hosts are on a bridge of it.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.integration.connections import podman
from tests.integration.connections.root import UNREAD
from tests.integration.connections.undoing import Undoing
from tests.support.hosts import trees
from tests.support.hosts.errors import HostsError, KindUnavailable

from . import programs

DEFINITION = Path(__file__).resolve().parents[3] / "docs/guides/execution-environment.yml"

#: Debian release of the base image. Its Python runs the newest ansible-core.
_BASE = ("trixie", ("python3-pip",))

_BASE_IMAGE = "localhost/base:tests"

#: The name in the command of its definition. Its tag is not `latest`: by default ansible-navigator
#: would pull that from a registry.
IMAGE = "treekill-ee:1"

#: A callback that the base image enables. It has to stay enabled.
OTHER = "ansible.builtin.junit"

#: What PyPI is asked for before all else, to find out whether it can be reached.
_SMALL = "dumb-init==1.2.5"

#: podman refuses to start if the first of these is beyond the limits of the machine.
_CONTAINERS_CONF = """
[containers]
netns = "host"
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
[engine]
runtime = "{runtime}"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{directory}/tmp"
"""

_STORAGE_CONF = """
[storage]
driver = "overlay"
graphroot = "{directory}/storage"
runroot = "{directory}/run"
"""

#: ansible-navigator refuses to use podman without this directory, which some machines lack.
_QUEUES = "/dev/mqueue"

#: The cgroup, in each hierarchy, below which podman makes those of containers.
_PARENTS = tuple(
    str(place / "libpod_parent")
    for place in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir())
    if place.is_dir()
)


@dataclass(frozen=True)
class Engine:
    """podman with a storage of the tests' own."""

    directory: Path

    @property
    def environ(self) -> dict[str, str]:
        """Return the environment in which all programs use this storage."""
        return {
            "CONTAINERS_CONF": f"{self.directory}/containers.conf",
            "CONTAINERS_STORAGE_CONF": f"{self.directory}/storage.conf",
        }

    def call(self, *words: str) -> str:
        """Run a command of podman, and return what it printed."""
        done = subprocess.run(
            ["podman", *words],
            env={**os.environ, **self.environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise HostsError(f"podman {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def containers(self) -> list[str]:
        """Return the ids of all containers, those that have ended included."""
        return self.call("ps", "--all", "--quiet").split()


@contextmanager
def engine() -> Iterator[Engine]:
    """Start with an empty storage. All of it is removed at the end of the block."""
    new = [path for path in (_QUEUES, *_PARENTS) if not os.path.exists(path)]
    if _QUEUES in new:
        os.mkdir(_QUEUES)
    undoing = Undoing("", 'rmdir "$@"', *new)
    try:
        with podman.storage() as (directory, dummy):
            for name, text in (("containers", _CONTAINERS_CONF), ("storage", _STORAGE_CONF)):
                (directory / f"{name}.conf").write_text(
                    text.format(directory=directory, runtime=podman.RUNTIME)
                )
            yield Engine(directory)
    finally:
        undoing.now()


def build(here: Engine) -> None:
    """Build the environment by the command of its definition.

    Raises KindUnavailable with the reason if PyPI can't be reached, or if there is no Debian tree.
    """
    _ask_pypi(here.directory)
    try:
        tree = trees.find_with_packages(*_BASE)
    except (HostsError, OSError) as error:
        raise KindUnavailable(f"there is no Debian tree for the base image: {error}") from error
    _make_base(here, tree)
    place = here.directory / "build"
    place.mkdir()
    (tarball,) = Path(os.environ["ANSIBLE_COLLECTIONS_PATH"]).parent.glob("treekill-remote-*.gz")
    shutil.copy(tarball, place)
    definition = replaced(yaml.safe_load(DEFINITION.read_text(encoding="utf-8")), tarball.name)
    (place / DEFINITION.name).write_text(yaml.safe_dump(definition))
    done = subprocess.run(
        [
            *(programs.program("ansible-builder"), "build", "-f", DEFINITION.name, "-t", IMAGE),
            # Otherwise it keeps an image for each line of its file, which takes twice as long.
            *("--extra-build-cli-args=--layers=false", "--verbosity", "3"),
        ],
        cwd=place,
        env={**os.environ, **here.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"ansible-builder failed:\n{done.stdout[-12000:]}"


def replaced(definition: Mapping[str, Any], tarball: str) -> dict[str, Any]:
    """Return the definition with what this machine has, and all else as it stands."""
    return {
        **definition,
        "images": {"base_image": {"name": _BASE_IMAGE}},
        "options": {"package_manager_path": "/usr/bin/apt-get", "skip_pip_install": True},
        "dependencies": {
            **definition["dependencies"],
            "galaxy": {"collections": [{"name": f"files/{tarball}", "type": "file"}]},
        },
        "additional_build_files": [{"src": tarball, "dest": "files"}],
    }


def _ask_pypi(place: Path) -> None:
    pip = [str(Path(programs.program("ansible-builder")).with_name("python")), "-m", "pip"]
    done = subprocess.run(
        [*pip, "download", "--quiet", "--no-deps", "--dest", str(place / "small"), _SMALL],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise KindUnavailable(f"PyPI can't be reached: {done.stderr.strip().splitlines()[-1]}")


def _make_base(here: Engine, tree: Path) -> None:
    """Make the base image of the tree, and of the way in which this machine reaches PyPI.

    Like other base images, it enables a callback in its `/etc/ansible/ansible.cfg`.
    """
    more = here.directory / "more"
    (more / "etc/ansible").mkdir(parents=True)
    (more / "etc/ansible/ansible.cfg").write_text(f"[defaults]\ncallbacks_enabled = {OTHER}\n")
    settings = ["[global]"]
    authorities = os.environ.get("PIP_CERT") or ssl.get_default_verify_paths().cafile
    if authorities:
        shutil.copy(authorities, more / "etc/authorities.pem")
        settings.append("cert = /etc/authorities.pem")
    if "PIP_INDEX_URL" in os.environ:
        settings.append(f"index-url = {os.environ['PIP_INDEX_URL']}")
    (more / "etc/pip.conf").write_text("\n".join(settings) + "\n")
    # Files, not their folder: podman refuses an archive that has a folder twice.
    files = [str(path.relative_to(more)) for path in more.rglob("*") if path.is_file()]
    excluded = [f"--exclude={path}" for path in UNREAD]
    with subprocess.Popen(
        ["tar", "--one-file-system", *excluded, "-cC", str(tree), ".", "-C", str(more), *files],
        stdout=subprocess.PIPE,
    ) as archive:
        subprocess.run(
            ["podman", "import", "--quiet", "-", _BASE_IMAGE],
            env={**os.environ, **here.environ},
            stdin=archive.stdout,
            stdout=subprocess.DEVNULL,
            check=True,
        )
