# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines that turn the collection on, show that it is on, and try it, as they stand."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from .claims import Documented, block, command, runs
from .shell import Shell, with_ansible

_PAGE = "docs/on_and_off.md"
_PING = "ansible localhost -v -m ansible.builtin.ping"
_GUARDS = re.compile(r"^treekill\.remote .* guards .*$", re.MULTILINE)


def installed(directory: Path, **more: str) -> Shell:
    """Return a shell that knows the collection and nothing of its callback."""
    shell = with_ansible(directory)
    places = {"ANSIBLE_COLLECTIONS_PATH": os.environ["ANSIBLE_COLLECTIONS_PATH"]}
    return Shell(directory, {**shell.environ, **places, **more})


def line_of(shell: Shell, *before: str) -> str:
    """Return the line that a run of one task begins with; empty without one."""
    done = shell.run("\n".join([*before, _PING]))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    found = _GUARDS.search(done.stderr)
    assert "guards" not in done.stdout
    return found[0] if found else ""


@runs(
    command("export ANSIBLE_CALLBACKS_ENABLED=treekill.remote.guardian ANSIBLE_LOAD"),
    command("timeout -s INT 15 ansible localhost"),
)
def test_the_two_lines_to_try_it_end_in_a_recap(tmp_path: Path, documented: Documented) -> None:
    done = installed(tmp_path).run("\n".join(documented))
    assert done.returncode == 124, done.stderr
    assert _GUARDS.search(done.stderr), done.stderr
    assert re.search(r"^localhost +: ended [1-9]\d* .*survivors 0", done.stderr, re.MULTILINE), (
        done.stderr
    )


@pytest.mark.parametrize("number", [0, 1], ids=["alone", "with another"])
@runs(
    block(_PAGE, "callbacks_enabled = treekill.remote.guardian"),
    block(_PAGE, "callbacks_enabled = ansible.posix.profile_tasks, treekill.remote.guardian"),
)
def test_a_line_of_ansible_cfg_turns_it_on(
    tmp_path: Path, documented: Documented, number: int
) -> None:
    """The control: another list in the environment takes the place of that line."""
    (tmp_path / "ansible.cfg").write_text([*documented][number])
    shell = installed(
        tmp_path, ANSIBLE_CONFIG=str(tmp_path / "ansible.cfg"), ANSIBLE_LOAD_CALLBACK_PLUGINS="1"
    )
    assert line_of(shell)
    assert not line_of(shell, "export ANSIBLE_CALLBACKS_ENABLED=ansible.builtin.minimal")


@runs(command('export ANSIBLE_CALLBACKS_ENABLED="$ANSIBLE_CALLBACKS_ENABLED'))
def test_the_name_is_added_to_the_variable(tmp_path: Path, documented: Documented) -> None:
    (export,) = documented
    shell = installed(
        tmp_path, ANSIBLE_CALLBACKS_ENABLED="some.other.one", ANSIBLE_LOAD_CALLBACK_PLUGINS="1"
    )
    assert not line_of(shell)
    assert line_of(shell, export)


@runs(block(_PAGE, "guards all tasks of run"))
def test_the_line_at_v_is_as_shown(tmp_path: Path, documented: Documented) -> None:
    (shown,) = documented
    shell = installed(
        tmp_path,
        ANSIBLE_CALLBACKS_ENABLED="treekill.remote.guardian",
        ANSIBLE_LOAD_CALLBACK_PLUGINS="1",
    )
    assert _general(line_of(shell)) == _general(shown.strip())
    assert not line_of(shell, "export TREEKILL_TRACK=none")


def _general(line: str) -> str:
    """Return the line without version, id and directory."""
    line = re.sub(r"remote \S+ guards", "remote VERSION guards", line)
    line = re.sub(r"run [0-9a-f]{16}", "run ID", line)
    return re.sub(r"Journal: \S+/\.ansible/", "Journal: HOME/.ansible/", line)


@runs(command("ansible-galaxy collection list treekill.remote"), command("ansible --version"))
def test_what_is_installed_where_is_printed(tmp_path: Path, documented: Documented) -> None:
    listed, version = documented
    (tmp_path / "ansible.cfg").write_text("[defaults]\n")
    shell = installed(tmp_path, ANSIBLE_CONFIG=str(tmp_path / "ansible.cfg"))
    assert f"{os.environ['ANSIBLE_COLLECTIONS_PATH']}/ansible_collections" in shell.type(listed)
    assert f"config file = {tmp_path}/ansible.cfg" in shell.type(version)
