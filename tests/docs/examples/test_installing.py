# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands that install the collection, typed as they stand."""

from __future__ import annotations

import json
from pathlib import Path

from .claims import Documented, command, runs
from .galaxy import serving
from .shell import Shell, with_ansible


def knows_the_callback(shell: Shell) -> bool:
    """Whether Ansible finds it where it looks by itself."""
    return "treekill.remote.guardian" in json.loads(
        shell.type("ansible-doc --type callback --json treekill.remote.guardian") or "{}"
    )


@runs(command("ansible-galaxy collection install treekill.remote"))
def test_it_is_installed_from_galaxy(tmp_path: Path, documented: Documented) -> None:
    """It is installed from a server on loopback, by Galaxy's protocol.

    The control: before that, Ansible does not find the callback.
    """
    (install,) = documented
    with serving() as galaxy:
        shell = with_ansible(tmp_path)
        shell.environ = {**shell.environ, **galaxy.environ}
        assert not knows_the_callback(shell)
        said = shell.type(install)
        assert f"treekill.remote:{galaxy.version} was installed successfully" in said, said
        assert galaxy.asked[-1] == f"/download/{galaxy.tarball.name}", galaxy.asked
        assert knows_the_callback(shell)


@runs(
    command("sudo ansible-galaxy collection install treekill.remote"),
    command("sudo python3 -m compileall"),
)
def test_it_is_installed_for_all_users(tmp_path: Path, documented: Documented) -> None:
    """Another directory takes the place of the one that root owns.

    ansible-core looks in that one by itself, and another user finds the collection.
    """
    install, compile_all = documented
    root, user = tmp_path / "root", tmp_path / "user"
    for home in (root, user):
        home.mkdir()
    shared = "/usr/share/ansible/collections"
    with serving() as galaxy:
        shell = with_ansible(root)
        assert shared in shell.type("ansible-config dump | grep COLLECTIONS_PATHS")
        shell.environ = {**shell.environ, **galaxy.environ}
        shell.type(install.removeprefix("sudo ").replace(shared, str(tmp_path / "shared")))
        other = with_ansible(user)
        assert not knows_the_callback(other)
        other.environ = {**other.environ, "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "shared")}
        assert knows_the_callback(other)
    shell.type(compile_all.removeprefix("sudo ").replace(shared, str(tmp_path / "shared")))
    assert list((tmp_path / "shared").rglob("plugin_utils/_core/__pycache__/options.*.pyc"))
