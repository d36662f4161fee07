# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of a page of docs/, typed as they stand there, one after the other; and the playbook that the recap names."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.examples.documented import commands_of
from tests.examples.stages import RUN, abandon
from tests.hosts import Host, Lab
from tests.matrix.run import program


def typed(lab: Lab, command: str) -> str:
    """What a command said that a user types in a shell; it has to end well."""
    path = f"{Path(program('ansible')).parent}:{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "ANSIBLE_INVENTORY": str(lab.inventory), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_SSH_ARGS": "-o ControlMaster=no"}
    done = subprocess.run(["/bin/sh", "-c", command], env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_commands_that_clean_up(lab: Lab, web1: Host) -> None:
    abandon(web1, RUN, "89abcdef", "sleep 1001", "^sleep 1001")
    look, would, end = commands_of("clean_up.md")
    assert '"state": "abandoned"' in typed(lab, look)
    assert '"signal": "TERM"' in typed(lab, would)
    assert web1.processes("^sleep 1001")
    assert '"ended": "TERM"' in typed(lab, end)
    assert not web1.processes("^sleep 1001")


def test_the_playbook_ends_what_a_run_has_in_flight_and_tells_what_it_left(lab: Lab, web1: Host) -> None:
    """A daemon that a task has left behind is ended when its command is named."""
    abandon(web1, RUN, "89abcdef", "sleep 1001", "^sleep 1001")
    daemon = web1.spawn(["sleep", "1002"], environ={"TREEKILL": f"{RUN}/01234567/4711/4710"})
    command = f"ansible-playbook treekill.remote.sweep --limit web1 --become -e sweep_run={RUN}"
    typed(lab, f"{command} --check")
    assert web1.processes("^sleep 1001")
    assert "01234567" in typed(lab, command)
    assert not web1.processes("^sleep 1001")
    assert daemon.id.alive()
    typed(lab, f"{command} -e sweep_lease=01234567")
    assert not daemon.id.alive()
