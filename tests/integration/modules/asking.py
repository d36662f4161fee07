# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One module of the installed collection, run on one host, and its result.

It is run as a user does by `ansible`.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from tests.support.hosts import Host, Lab
from tests.support.run.run import program

Result = dict[str, Any]


def ask(
    lab: Lab,
    host: Host,
    module: str,
    *,
    login: str = "ansible",
    become: str = "root",
    check: bool = False,
    fails: bool = False,
    **options: object,
) -> Result:
    """Return the result of a module.

    `become`: the user to become; empty for none. `fails`: whether it has to.
    """
    argv = [
        program("ansible"),
        host.name,
        "-i",
        str(lab.inventory),
        "-e",
        f"ansible_user={login}",
        "-m",
        f"treekill.remote.{module}",
    ]
    argv += ["-a", json.dumps(options)] if options else []
    argv += ["--become", "--become-user", become] if become else []
    argv += ["--check"] if check else []
    # Connections do not stay: their processes would be on the host while others look.
    environ = {
        **os.environ,
        "ANSIBLE_SSH_ARGS": "-o ControlMaster=no",
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_NOCOLOR": "1",
    }
    done = subprocess.run(
        argv,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    head, found, text = done.stdout.partition("=> ")
    assert found, f"{done.stdout}\n{done.stderr}"
    assert ("FAILED" in head) is fails, f"{done.stdout}\n{done.stderr}"
    result = json.loads(text)
    assert isinstance(result, dict)
    return result


def trees(result: Result, run: str = "") -> list[Result]:
    """Return the commands that it lists, of one run or of all."""
    return [tree for tree in result["trees"] if run in ("", tree["run"])]


def states(result: Result) -> list[str]:
    """Return the states of the commands that it lists, sorted."""
    return sorted(tree["state"] for tree in result["trees"])
