# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The start of a run does no work that it does not need.

Processor time depends on the machine. So the tests count what takes it.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

PACKAGE = "ansible_collections.treekill.remote.plugins"

_AS_ANSIBLE = "from ansible.plugins.loader import init_plugin_loader\ninit_plugin_loader()\n"


def said_by(program: str) -> str:
    """Return the output of a program that imports the collection as Ansible does."""
    done = subprocess.run(
        [sys.executable, "-c", _AS_ANSIBLE + program],
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
