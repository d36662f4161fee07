# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Labs of containers and of a chroot, with the collections that reach them.

If one can't be had, its tests are skipped with the reason.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest

from tests.support.hosts import Lab, kinds
from tests.support.hosts.errors import KindUnavailable, PackagesMissing
from tests.support.labs.companies import companies
from tests.support.labs.lab_or_skip import lab_or_skip

from . import community, docker, lxc, lxd, podman, pods
from .chroot import chroot
from .containers import TransportLab

__all__ = ("companies",)

PYTHON = {"ansible_python_interpreter": "/usr/bin/python3"}


@pytest.fixture(scope="session")
def namespaces(orderly_end: None) -> None:
    """Skip without root: nothing here works without namespaces."""
    reason = kinds.why_not(kinds.NAMESPACE)
    if reason:
        pytest.skip(f"these hosts need what namespace hosts need: {reason}")


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Two hosts with sshd, for the connection plugin of our own."""
    with lab_or_skip(2) as two:
        yield two


@pytest.fixture(scope="session")
def collections(namespaces: None) -> Iterator[None]:
    """The collections of the plugins, on the paths of all runs."""
    try:
        place = community.fetch()
    except community.NotToBeHad as reason:
        pytest.skip(str(reason))
    with community.on_path(place):
        yield


@pytest.fixture(scope="session")
def docker_lab(collections: None) -> Iterator[Callable[[str], TransportLab]]:
    """Function that returns two containers of docker, for the name of the connection plugin."""
    try:
        with docker.containers(2) as (directory, hosts):
            variables = {
                "community.docker.docker": {
                    "ansible_docker_extra_args": f"--host unix://{directory}/sock"
                },
                "community.docker.docker_api": {
                    "ansible_docker_docker_host": f"unix://{directory}/sock"
                },
            }
            with _environ(PATH=f"{pods.write_client(directory)}:{os.environ['PATH']}"):
                yield lambda plugin: TransportLab(
                    directory,
                    plugin,
                    hosts,
                    {**PYTHON, "ansible_connection": plugin, **variables.get(plugin, {})},
                    has_pulses=True,
                )
    except (KindUnavailable, PackagesMissing) as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def lxd_lab(collections: None) -> Iterator[Callable[[str], TransportLab]]:
    """Function that returns two containers of LXD, for the name of the connection plugin."""
    try:
        with lxd.containers(2) as (directory, hosts):
            path = f"{directory}/bin:{os.environ['PATH']}"
            with _environ(PATH=path, **lxd.environ_of(directory)):
                yield lambda plugin: TransportLab(
                    directory,
                    plugin,
                    hosts,
                    {**PYTHON, "ansible_connection": plugin},
                    has_pulses=True,
                )
    except (KindUnavailable, PackagesMissing) as reason:
        pytest.skip(str(reason))


@contextmanager
def _environ(**values: str) -> Iterator[None]:
    """Set these variables for runs that are started within the block."""
    before: Mapping[str, str | None] = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@pytest.fixture(scope="session")
def podman_lab(collections: None) -> Iterator[Callable[[str], TransportLab]]:
    """Function that returns two containers of podman."""
    try:
        with podman.containers(2) as (directory, hosts):
            program, *options = podman.client(directory)
            variables = {
                "ansible_podman_executable": program,
                "ansible_podman_extra_args": " ".join(options),
            }
            yield lambda plugin: TransportLab(
                directory,
                plugin,
                hosts,
                {**PYTHON, "ansible_connection": plugin, **variables},
                has_pulses=True,
            )
    except (KindUnavailable, PackagesMissing) as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def chroot_lab(collections: None) -> Iterator[TransportLab]:
    """A chroot."""
    try:
        with chroot() as (directory, host):
            variables = {
                "ansible_connection": "community.general.chroot",
                "ansible_chroot_exe": f"{directory}/chroot",
            }
            yield TransportLab(directory, "chroot", [host], {**PYTHON, **variables})
    except (KindUnavailable, PackagesMissing) as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def lxc_lab(collections: None) -> Iterator[TransportLab]:
    """A container of LXC. The library of its plugin is on the path of all runs."""
    if sys.version_info >= (3, 13):
        # Its last release is of 2019. In each process that it attaches, it ends a fork of Python
        # which it has not begun. Python 3.13 aborts there, with and without the collection.
        pytest.skip("the library of LXC does not run with Python 3.13")
    try:
        with lxc.container() as (directory, host):
            with community.on_path(community.fetch_library("lxc")):
                variables = {**PYTHON, "ansible_connection": "community.general.lxc"}
                yield TransportLab(directory, "lxc", [host], variables)
    except (KindUnavailable, PackagesMissing, community.NotToBeHad) as reason:
        pytest.skip(str(reason))
