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
