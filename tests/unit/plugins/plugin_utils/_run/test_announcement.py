# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""At `-v` the first line of a guarded run shows that the collection is on."""

from __future__ import annotations

import json
import re

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._run.announcement import version

from ..playbook_runs import start_playbook

TASK = {"name": "Say", "ansible.builtin.command": "echo said"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {},
            (
                r"treekill\.remote \d+\.\d+\.\d+\S* guards all tasks of run [0-9a-f]{16}\."
                r" Grace period: 1 s\. Journal: \S+/\.ansible/treekill/journal\.$"
            ),
        ),
        (
            {"track": "plugins", "journal_path": "none"},
            (
                r"guards only tasks that use plugins of this collection of run \S+ Grace .*"
                r" Journal: none\.$"
            ),
        ),
    ],
)
def test_it_names_version_run_guard_and_journal_before_the_first_task(options, expected):
    with start_playbook([TASK], options=options, arguments=["-v"]) as run:
        said = run.finished()
    line = re.search(expected, said, re.MULTILINE)
    assert line, said
    assert line.start() < said.index("TASK ["), said
    assert said.count("guards") == 1, said


@pytest.mark.parametrize("arguments", [{}, {"options": {"track": "none"}, "arguments": ["-v"]}])
def test_without_v_and_without_a_guard_there_is_none(arguments):
    with start_playbook([TASK], **arguments) as run:
        said = run.finished()
    assert run.process.returncode == 0, said
    assert "guards" not in said, said


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"MANIFEST.json": json.dumps({"collection_info": {"version": "1.2.3"}})}, "1.2.3"),
        ({"MANIFEST.json": "[]", "galaxy.yml": "name: a\nversion: 1.2.4\n"}, "1.2.4"),
        ({"galaxy.yml": "name: a\n"}, "(unknown version)"),
        ({}, "(unknown version)"),
    ],
)
def test_the_version_is_that_of_the_manifest_or_of_the_clone(tmp_path, files, expected):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert version(tmp_path) == expected
