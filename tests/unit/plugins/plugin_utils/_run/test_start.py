# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The start of a run does no work that it does not need.

Processor time depends on the machine. So the tests count what takes it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.treekill.remote.plugins.plugin_utils._core.bytecode import OwnFinder

PACKAGE = "ansible_collections.treekill.remote.plugins"

_AS_ANSIBLE = "from ansible.plugins.loader import init_plugin_loader\ninit_plugin_loader()\n"


def said_by(program: str, *arguments: str) -> str:
    """Return the output of a program that imports the collection as Ansible does."""
    done = subprocess.run(
        [sys.executable, "-c", _AS_ANSIBLE + program, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )
    return done.stdout.strip()


def test_the_texts_of_task_arguments_are_not_made_for_a_run() -> None:
    said = said_by(
        f"""
import yaml
yaml.safe_dump = yaml.safe_load = None
from {PACKAGE}.doc_fragments.kill import ModuleDocFragment
print("kill_timeout" in ModuleDocFragment.DOCUMENTATION)
"""
    )
    assert said == "True"


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML has no parser in C here")
def test_options_are_not_read_by_the_slow_parser() -> None:
    said = said_by(
        f"""
import yaml.scanner
tokens = []
fetch = yaml.scanner.Scanner.fetch_more_tokens
yaml.scanner.Scanner.fetch_more_tokens = lambda self: tokens.append(0) or fetch(self)
from {PACKAGE}.plugin_utils._core.options import VARIABLES
print(len(tokens), "treekill_kill_timeout" in VARIABLES)
"""
    )
    assert said == "0 True"


def test_the_own_files_of_the_collection_are_compiled_once(tmp_path: Path) -> None:
    program = f"""
import builtins, sys
compiled = []
compiles = builtins.compile
def count(source, filename, *arguments, **keywords):
    compiled.append(str(filename))
    return compiles(source, filename, *arguments, **keywords)
sys.dont_write_bytecode = False
sys.pycache_prefix = {str(tmp_path)!r}
from {PACKAGE}.plugin_utils._core.bytecode import keep_bytecode
if len(sys.argv) > 1:
    keep_bytecode()
builtins.compile = count
from {PACKAGE}.plugin_utils._run import start_run
from {PACKAGE}.module_utils._tree import search
print(sum("/plugins/" in name for name in compiled), start_run.__name__, search.__file__)
"""
    bare, first, second = said_by(program), said_by(program, "keep"), said_by(program, "keep")
    assert all(int(said.split()[0]) > 100 for said in (bare, first))
    assert second.split()[0] == "0"
    assert bare.split()[1:] == first.split()[1:] == second.split()[1:]
    assert list(tmp_path.rglob("start_run.*.pyc"))


def test_a_changed_file_is_compiled_again_and_so_is_damaged_bytecode(tmp_path: Path) -> None:
    world = tmp_path / "plugin_utils" / "_new"
    world.mkdir(parents=True)
    program = f"""
import sys
sys.dont_write_bytecode = False
from {PACKAGE}.plugin_utils._core.bytecode import keep_bytecode
import {PACKAGE}.plugin_utils as world
keep_bytecode()
world.__path__ = [{str(world.parent)!r}]
from {PACKAGE}.plugin_utils._new import file
print(file.VALUE)
"""
    (world / "file.py").write_text("VALUE = 'first'\n")
    assert said_by(program) == "first"
    (bytecode,) = (world / "__pycache__").glob("file.*.pyc")
    whole = bytecode.read_bytes()
    # As a full disk leaves it: Python itself would refuse to import the file from then on.
    for length in (4, 20, len(whole) - 1):
        bytecode.write_bytes(whole[:length])
        assert said_by(program) == "first"
    assert said_by(program) == "first"
    assert bytecode.read_bytes() == whole
    (world / "file.py").write_text("VALUE = 'the next one'\n")
    assert said_by(program) == "the next one"


def test_files_of_others_are_left_to_their_importers() -> None:
    for name in ("json", "ansible.cli", "ansible_collections.other.own.plugins.plugin_utils._core"):
        assert OwnFinder.find_spec(name, ["/usr/lib/python3"]) is None
    assert OwnFinder.find_spec(f"{PACKAGE}.plugin_utils._core.absent", ["/absent"]) is None
