# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Application of a role of the installed collection to a host."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.support.hosts import Host, Lab
from tests.support.run.run import program


def apply_role(lab: Lab, host: Host, role: str, directory: Path, **variables: object) -> None:
    """Run a playbook with that role of the installed collection, as root, and see it succeed."""
    play = {
        "hosts": host.name,
        "become": True,
        "gather_facts": False,
        "roles": [{"role": f"treekill.remote.{role}", "vars": variables}],
    }
    # JSON is YAML.
    playbook = directory / "playbook.yml"
    playbook.write_text(json.dumps([play]))
    argv = [program("ansible-playbook"), "-i", str(lab.inventory), str(playbook)]
    # No connection outlives it: one that is older than the role's reload would have the old values.
    environ = {**os.environ, "ANSIBLE_SSH_ARGS": "-o ControlMaster=no", "ANSIBLE_PIPELINING": "1"}
    done = subprocess.run(
        argv,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
