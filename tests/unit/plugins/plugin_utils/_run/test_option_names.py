# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A misspelt option gets one warning, wherever it is; a variable of the user's own gets none."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill import files
from ansible_collections.treekill.remote.plugins.plugin_utils._core import options
from ansible_collections.treekill.remote.plugins.plugin_utils._run import option_names

from ..playbook_runs import start_playbook

ROOT = Path(__file__).resolve().parents[5]
WARNING = "is not an option of this collection|are not options of this collection"
SECRET = "hunter2-of-nobody"
TASK = {"name": "Say", "ansible.builtin.command": "echo said"}


def flat(text):
    """Return a text without the ends of lines that core puts into warnings.

    Core ends lines at blanks, and within a path behind a hyphen.
    """
    return " ".join(re.sub(r"(?<=[-/])\n", "", text).split())


#: The place of a task. Before ansible-core 2.19 tasks of a playbook in JSON have none.
TASK_PLACE = r"(at \S+play.yml:\d+|of a task)"

#: Where a name can be misspelt: arguments of `start_playbook`, and what the warning says of it.
PLACES = {
    "ansible.cfg": (
        {"options": {"kill_timout": SECRET}},
        r"kill_timout in \[treekill\] of \S+ansible.cfg \(nearest: kill_timeout\)",
    ),
    "environment": (
        {"environ": {"TREEKILL_TRAK": SECRET}},
        r"TREEKILL_TRAK in the environment \(nearest: TREEKILL_TRACK\)",
    ),
    "environment in lower case": (
        {"environ": {"treekill_track": SECRET}},
        r"treekill_track in the environment \(nearest: TREEKILL_TRACK\)",
    ),
    "extra variables": (
        {"arguments": ["-e", f"treekill_kil_wait={SECRET}"]},
        r"treekill_kil_wait in the extra variables \(nearest: treekill_kill_wait\)",
    ),
    "variable of a host": (
        {"inventory": {"localhost": {"treekill_supervize": SECRET}}},
        r"treekill_supervize of host localhost \(nearest: treekill_supervise\)",
    ),
    "variable in upper case": (
        {"inventory": {"localhost": {"TREEKILL_TRACK": SECRET}}},
        r"TREEKILL_TRACK of host localhost \(nearest: treekill_track\)",
    ),
    "file of a group": (
        {"files": {"group_vars/all.yml": f"---\na: 1\ntreekill_trck: {SECRET}\n"}},
        r"treekill_trck in \S+group_vars/all.yml \(nearest: treekill_track\)",
    ),
    "file of a host, in JSON": (
        {"files": {"host_vars/localhost.json": f'{{"a": 1, "treekill_trck": "{SECRET}"}}'}},
        r"treekill_trck in \S+host_vars/localhost.json \(nearest: treekill_track\)",
    ),
    "folder of a host": (
        {"files": {"host_vars/localhost/more.yml": f"'treekill_trck': {SECRET}\n"}},
        r"treekill_trck in \S+localhost/more.yml \(nearest: treekill_track\)",
    ),
    "play": (
        {"keywords": {"vars": {"treekill_kil_signal": SECRET}}},
        r"treekill_kil_signal in a play \(nearest: treekill_kill_signal\)",
    ),
    "file of a play": (
        {
            "keywords": {"vars_files": ["more.yml"]},
            "files": {"more.yml": f"treekill_kil_signal: {SECRET}\n"},
        },
        r"treekill_kil_signal in \S+more.yml \(nearest: treekill_kill_signal\)",
    ),
    "role": (
        {
            "keywords": {"roles": ["some"]},
            "files": {
                "roles/some/tasks/main.yml": "[]\n",
                "roles/some/defaults/main.yml": f"treekill_kil_signal: {SECRET}\n",
            },
        },
        r"treekill_kil_signal of role some \(nearest: treekill_kill_signal\)",
    ),
    "set_fact": (
        {"tasks": [{"name": "Set", "ansible.builtin.set_fact": {"treekill_trck": SECRET}}]},
        rf"treekill_trck {TASK_PLACE} \(nearest: treekill_track\)",
    ),
    "task in a rescue of a block": (
        {
            "tasks": [
                {
                    "block": [TASK],
                    "rescue": [{**TASK, "vars": {"treekill_on_disconect": SECRET}}],
                }
            ]
        },
        rf"treekill_on_disconect {TASK_PLACE} \(nearest: treekill_on_disconnect\)",
    ),
    "handler": (
        {
            "keywords": {
                "handlers": [{**TASK, "name": "Later", "vars": {"treekill_kill_mod": SECRET}}]
            }
        },
        rf"treekill_kill_mod {TASK_PLACE} \(nearest: treekill_kill_mode\)",
    ),
    "play, without the first word": (
        {"keywords": {"vars": {"treekill_timeout": SECRET}}},
        r"treekill_timeout in a play \(nearest: treekill_kill_timeout\)",
    ),
    "key of ansible.cfg that is near to none": (
        {"options": {"zzzzzzzzzzzz": SECRET}},
        r"zzzzzzzzzzzz in \[treekill\] of \S+ansible.cfg is not an option of this collection\.",
    ),
    "environment, near to none": (
        {"environ": {"TREEKILL_ZZZZZZZZZZZZ": SECRET}},
        r"TREEKILL_ZZZZZZZZZZZZ in the environment is not an option of this collection\.",
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_misspelt_option_gets_one_warning_without_its_value_before_the_first_task(place):
    arguments, expected = PLACES[place]
    with start_playbook([*arguments.pop("tasks", [TASK])], **arguments) as run:
        said = run.finished()
    assert run.process.returncode == 0, said
    assert len(re.findall(WARNING, flat(said))) == 1, said
    assert re.search(expected, flat(said)), said
    assert said.index("WARNING") < said.index("TASK ["), said
    assert SECRET not in said


def test_several_names_share_one_warning_and_a_second_play_repeats_none():
    text = yaml.safe_dump(
        [
            {"hosts": "all", "gather_facts": False, "vars": {"treekill_trck": 1}, "tasks": [TASK]},
            {"hosts": "all", "gather_facts": False, "vars": {"treekill_trck": 1}, "tasks": [TASK]},
            {
                "hosts": "all",
                "gather_facts": False,
                "vars": {"treekill_kil_wait": 1},
                "tasks": [TASK],
            },
        ]
    )
    with start_playbook(
        [TASK],
        options={"kill_timout": 1},
        files={"more.yml": text},
        arguments=["more.yml"],
        inventory={"localhost": {"treekill_supervize": 1}},
    ) as run:
        said = flat(run.finished())
    assert len(re.findall(WARNING, said)) == 3, said
    for name in ("kill_timout", "treekill_supervize", "treekill_trck", "treekill_kil_wait"):
        assert len(re.findall(rf"{name} ", said)) == 1, said


def test_what_is_no_option_by_its_place_gets_none():
    """The control: known names, names within values, results, files of other hosts."""
    with start_playbook(
        [
            {**TASK, "register": "treekill_result"},
            {**TASK, "vars": {"treekill_kill_timeout": 3, "other": {"treekill_trck": 1}}},
        ],
        options={"track": "all"},
        environ={"TREEKILL_KILL_TIMEOUT": "3", "TREEKILL": "spare"},
        inventory={"localhost": {"treekill_kill_mode": "tree", "treekill": 1}},
        files={
            "host_vars/elsewhere.yml": "treekill_trck: 1\n",
            "host_vars/localhost.yml": "a: |\n  treekill_trck: 1\n# treekill_trck: 1\n",
            "group_vars/all.txt": "treekill_trck: 1\n",
        },
    ) as run:
        said = run.finished()
    assert run.process.returncode == 0, said
    assert "WARNING" not in said, said


#: Variables of a user's own role. None of them is meant for an option.
OWN = (
    "treekill_done_at",
    "treekill_docs_url",
    "treekill_version",
    "treekill_role",
    "treekill_state",
    "treekill_user",
    "treekill_report",
    "treekill_host",
    "treekill_finished",
    "treekill_trace",
    "treekill_node",
    "treekill_zzzzzzzzzzzz",
)


def test_variables_of_the_user_get_no_warning():
    own = dict.fromkeys(OWN, 1)
    text = "".join(f"{name}: 1\n" for name in OWN)
    with start_playbook(
        [{**TASK, "vars": own}, {"name": "Set", "ansible.builtin.set_fact": own}],
        arguments=["-e", "treekill_done_at=1"],
        environ={"treekill_done_at": "1"},
        keywords={"vars": own, "vars_files": ["more.yml"]},
        inventory={"localhost": own},
        files={"more.yml": text, "group_vars/all.yml": text},
    ) as run:
        said = run.finished()
    assert run.process.returncode == 0, said
    assert "WARNING" not in said, said


NOT_LOADED = {
    "notes": {"group_vars/all/NOTES.md": "treekill_trck: 1\n"},
    "copy of an editor": {"host_vars/localhost/a.yml~": "treekill_trck: 1\n"},
    "hidden file": {"host_vars/localhost/.a.yml": "treekill_trck: 1\n"},
    "directory with an extension": {"group_vars/all/old.d/a.yml": "treekill_trck: 1\n"},
    "file beside a directory of that name": {
        "group_vars/all/a.yml": "a: 1\n",
        "group_vars/all.yml": "treekill_trck: 1\n",
    },
    "key within a value, in JSON": {
        "host_vars/localhost.json": '{"a": {"treekill_trck": 1, "b": [{"treekill_trck": 1}]}}'
    },
    "text with a colon": {"host_vars/localhost.yml": "treekill_trck:x: 1\n"},
}


@pytest.mark.parametrize("what", NOT_LOADED)
def test_what_ansible_does_not_load_as_a_variable_gets_no_warning(what):
    with start_playbook([TASK], files=NOT_LOADED[what]) as run:
        said = run.finished()
    assert run.process.returncode == 0, said
    assert "WARNING" not in said, said


LOADED = (
    "group_vars/all/a.yml",
    "group_vars/all/a",
    "group_vars/all/below/a.json",
    "group_vars/all",
    "group_vars/all.yaml",
)


@pytest.mark.parametrize("path", LOADED)
def test_what_ansible_loads_is_searched(path):
    """The control for the files above: the variable has its value in the run, and a warning."""
    show = {"name": "Show", "ansible.builtin.debug": {"msg": "{{ treekill_trck }} is loaded"}}
    content = '{"treekill_trck": "this"}' if path.endswith("json") else "treekill_trck: this\n"
    with start_playbook([show], files={path: content}) as run:
        said = flat(run.finished())
    assert "this is loaded" in said
    assert len(re.findall(WARNING, said)) == 1, said


def test_nothing_is_said_where_the_run_is_not_guarded():
    with start_playbook([TASK], options={"track": "none"}, environ={"TREEKILL_TRAK": "x"}) as run:
        said = run.finished()
    assert run.process.returncode == 0, said
    assert "WARNING" not in said, said


def test_a_play_of_a_form_that_is_not_known_goes_on(capsys):
    class Silent:
        verbosity = 0

        def warning(self, text):
            raise AssertionError(text)

    option_names.warn_of_unknown_names(object(), Silent())
    assert capsys.readouterr() == ("", "")


def test_an_error_is_named_without_its_text(monkeypatch):
    """The text of a UnicodeDecodeError quotes the bytes that it could not decode."""

    class Play:
        def get_variable_manager(self):
            raise UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, "invalid start byte")

    said = []
    monkeypatch.setattr(option_names, "verbose", lambda display, text: said.append(text))
    option_names.warn_of_unknown_names(Play(), object())
    assert said == ["treekill.remote: names of options were not checked: UnicodeDecodeError"]


def test_no_pipe_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert option_names.names_in(str(tmp_path / "pipe")) == []


def test_more_names_than_a_warning_holds_are_counted():
    with start_playbook(
        [TASK], environ={f"TREEKILL_{letter}": "1" for letter in "ABCDEFGHIJKLM"}
    ) as run:
        said = flat(run.finished())
    assert said.count("in the environment") == 10, said
    assert "3 more." in said, said


def test_every_documented_name_is_known():
    """The control: docs/options.md is written from the same documentation, by other code."""
    page = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    documented = {*re.findall(r"\bTREEKILL_[A-Z_]+[A-Z]\b", page)}
    assert documented == options.ENVIRONMENT
    variables = {*re.findall(r"\btreekill_[a-z_]+[a-z]\b", page)}
    assert variables == options.ALL_VARIABLES | {*files.VARIABLES}
    assert {name.lower().removeprefix("treekill_") for name in documented} == options.KEYS


def test_the_variables_of_the_run_after_the_kill_are_known():
    written = re.findall(r"^(\w+):", files._variables("r", "c", {"web1": ["a"]}), re.MULTILINE)
    assert {*written} == {*files.VARIABLES, "treekill_after_kill"}


def test_no_role_of_the_collection_has_a_variable_that_looks_like_an_option():
    for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
        specs = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]
        for spec in specs.values():
            assert [name for name in spec["options"] if name.startswith("treekill_")] == []
