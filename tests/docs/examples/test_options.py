# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The places for options, of docs/options.md, one above the other.

Each wins over those before it.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
import yaml

from tests.integration.launchers.programs import path_with_core
from tests.support.hosts import Lab
from tests.support.run.playing import Play, started
from tests.support.run.waiting import until
from tests.support.trees.table import rest
from tests.support.trees.triggers import INT

from .claims import Documented, block, command, runs
from .dump import with_pg_dump
from .shell import with_lab

_PAGE = "docs/options.md"

#: A play without options.
_PLAIN = json.dumps([{"hosts": "databases", "tasks": [{"ansible.builtin.command": "pg_dump"}]}])


@pytest.mark.parametrize(
    ("places", "grace"),
    [
        pytest.param(1, 20, id="ansible.cfg", marks=rest),
        pytest.param(2, 30, id="environment", marks=rest),
        pytest.param(3, 40, id="inventory", marks=rest),
        pytest.param(4, 50, id="play", marks=rest),
        pytest.param(5, 60, id="extra variable", marks=rest),
        pytest.param(6, 70, id="argument"),
    ],
)
@runs(
    block(_PAGE, "kill_timeout = 20"),
    command("export TREEKILL_KILL_TIMEOUT=30"),
    block(_PAGE, "treekill_kill_timeout: 40"),
    block(_PAGE, "treekill_kill_timeout: 50"),
    command("ansible-playbook backup.yml -e treekill_kill_timeout=60"),
    block(_PAGE, "kill_timeout: 70"),
)
def test_of_the_first_places_the_last_one_wins(
    lab: Lab, documented: Documented, places: int, grace: int
) -> None:
    """It gives the grace that the page names for it. The dump cleans up if it gets INT."""
    configuration, export, inventory, playbook, call, task = documented
    plain = {"databases": {"hosts": yaml.safe_load(inventory)["databases"]["hosts"]}}
    if places == 6:
        playbook = (
            playbook.partition("  tasks:\n")[0] + "  tasks:\n" + textwrap.indent(task, "    ")
        )
    files = {
        "backup.yml": playbook if places >= 4 else _PLAIN,
        "inventory/databases.yml": inventory if places >= 3 else json.dumps(plain),
        # In the group of the lab, which has how to log in to its hosts.
        "inventory/addresses": "[hosts]\n"
        + "".join(
            f"db{number} ansible_host={host.address}\n" for number, host in enumerate(lab, 1)
        ),
    }
    typed = (
        (export + "\n" if places >= 2 else "")
        + "exec "
        + (call if places >= 5 else call.partition(" -e ")[0])
    )
    environ = {"ANSIBLE_INVENTORY": f"{lab.inventory},inventory", "PATH": path_with_core()}
    play = Play(
        configuration=configuration,
        files=files,
        before=["bash", "-c", typed, "typed"],
        environ=environ,
    )
    with with_pg_dump(*lab), started(lab, play) as run:
        until(
            lambda: all((host.root / "tmp/dump-begun").exists() for host in lab),
            40,
            lambda: f"no dump begins\n{run.story}",
        )
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        assert f"grace period {grace} s" in run.errors, run.story
        if places >= 4:
            assert [(host.root / "tmp/dump-cleaned").read_text() for host in lab] == [
                "in peace\n"
            ] * 2, run.story


@runs(
    command("ansible-doc --type callback treekill.remote.guardian"),
    command("ansible-doc --type connection treekill.remote.paramiko_ssh"),
)
def test_ansible_doc_tells_all_of_it(lab: Lab, tmp_path: Path, documented: Documented) -> None:
    callback, connection = documented
    shell = with_lab(tmp_path, lab)
    assert "kill_retry_for" in shell.type(callback)
    assert "record_host_keys" in shell.type(connection)
