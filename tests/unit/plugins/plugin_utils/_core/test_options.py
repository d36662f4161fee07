# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kill options: from text to values, and from the sources in their order.

A refusal names the option and its allowed values.
"""

from __future__ import annotations

import dataclasses
import math
import signal

import pytest
import yaml
from ansible import constants as C
from ansible.errors import AnsibleOptionsError
from ansible_collections.treekill.remote.plugins.doc_fragments.kill import (
    ARGUMENT_NAMES,
    ModuleDocFragment,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import KillRequest
from ansible_collections.treekill.remote.plugins.module_utils._tree.transactions import (
    MODULES,
    PROGRAMS,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import (
    RECORD_VARIABLES,
    VARIABLES,
    KillOptions,
    RecordOptions,
    resolve,
    resolve_after,
    resolve_records,
)
from hypothesis import given
from hypothesis import strategies as st

from ..playbook_runs import start_playbook

DEFAULTS = KillOptions(
    signal=15,
    children=True,
    children_signal=15,
    timeout=10.0,
    finish="usual",
    finish_modules="usual",
    finish_timeout=600.0,
    wait=True,
    retry_for=60.0,
    alone=True,
    end_async=False,
    supervise=True,
    keep_on_disconnect=False,
    track="all",
)
WRITTEN = {
    "kill_signal": "TERM",
    "kill_children": "true",
    "kill_children_signal": "TERM",
    "kill_mode": "mixed",
    "kill_timeout": "10",
    "finish": "true",
    "finish_programs": PROGRAMS,
    "finish_modules": MODULES,
    "finish_timeout": "600",
    "kill_wait": "true",
    "kill_retry_for": "60",
    "kill_async": "false",
    "supervise": "true",
    "on_disconnect": "kill",
    "track": "all",
}
SIGNALS = ("kill_signal", "kill_children_signal")
SECONDS = ("kill_timeout", "kill_retry_for", "finish_timeout")
TRUTHS = ("kill_children", "kill_wait", "kill_async", "supervise")

ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.lists(st.integers(), max_size=2)
    | st.binary(max_size=5)
)


def parsed(option: str, value: object) -> KillOptions:
    return KillOptions.parse({**WRITTEN, option: value})


def field_of(option: str) -> str:
    return {
        "kill_async": "end_async",
        "on_disconnect": "keep_on_disconnect",
        "finish_programs": "finish",
    }.get(option, option.removeprefix("kill_"))


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for option in WRITTEN:
        monkeypatch.delenv(f"TREEKILL_{option.upper()}", raising=False)


def test_the_defaults_are_those_of_the_documentation():
    assert resolve() == DEFAULTS
    assert KillOptions.parse(WRITTEN) == DEFAULTS


def test_every_option_is_a_variable():
    assert {option: f"treekill_{option}" for option in WRITTEN} == {
        option: variable for variable, option in VARIABLES.items()
    }


@given(st.sampled_from(sorted(WRITTEN)), ANYTHING)
def test_any_value_is_taken_or_refused_by_the_name_of_its_option(option, value):
    try:
        options = parsed(option, value)
    except AnsibleOptionsError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert refusal.startswith(f"treekill option {option}: ")
        assert "Allowed: " in refusal
        return
    fields = ("finish", "finish_modules") if option == "finish" else (field_of(option),)
    usual = {field: getattr(DEFAULTS, field) for field in fields}
    assert dataclasses.replace(options, **usual) == DEFAULTS
    assert options.signal in signal.valid_signals()
    assert options.children_signal in signal.valid_signals()
    for seconds in (options.timeout, options.retry_for):
        assert math.isfinite(seconds)
        assert seconds >= 0
    assert options.track in ("all", "plugins", "none")


@pytest.mark.parametrize("option", SIGNALS)
@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("TERM", 15),
        ("sigterm", 15),
        ("SIGKILL", 9),
        (" int ", 2),
        ("2", 2),
        (2, 2),
        ("USR1", signal.SIGUSR1),
        ("64", 64),
        ("RTMIN", signal.SIGRTMIN),
    ],
)
def test_a_signal_is_a_name_with_or_without_sig_or_a_number(option, text, number):
    assert getattr(parsed(option, text), field_of(option)) == number


@pytest.mark.parametrize("option", SIGNALS)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-9",
        "65",
        "9.0",
        "٩",
        "SIG",
        "SIGSIGTERM",
        "NOSUCH",
        "TERM KILL",
        "True",
        True,
        None,
    ],
)
def test_what_is_no_signal_is_refused(option, text):
    with pytest.raises(AnsibleOptionsError, match=r"HUP, ILL, INT, .*, with or without SIG"):
        parsed(option, text)


@pytest.mark.parametrize("option", SECONDS)
@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0.0), (0, 0.0), ("0.5", 0.5), (3, 3.0), ("1e3", 1000.0)]
)
def test_seconds_are_a_number_of_0_or_more(option, text, seconds):
    assert getattr(parsed(option, text), field_of(option)) == seconds


@pytest.mark.parametrize("option", SECONDS)
@pytest.mark.parametrize(
    "text", ["-1", "-0.1", "nan", "inf", "-inf", "1e999", "", "soon", "10s", True, None, []]
)
def test_what_is_no_time_is_refused(option, text):
    with pytest.raises(AnsibleOptionsError, match="a number of seconds, 0 or more"):
        parsed(option, text)


@pytest.mark.parametrize("option", TRUTHS)
@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("yes", True),
        ("On", True),
        (1, True),
        (True, True),
        ("no", False),
        ("0", False),
        (False, False),
    ],
)
def test_truth_is_what_ansible_takes_for_it(option, text, truth):
    assert getattr(parsed(option, text), field_of(option)) is truth


@pytest.mark.parametrize("option", TRUTHS)
@pytest.mark.parametrize("text", ["maybe", "2", "", "None", [], 1.5])
def test_what_is_neither_true_nor_false_is_refused(option, text):
    with pytest.raises(AnsibleOptionsError, match="true or false"):
        parsed(option, text)


@pytest.mark.parametrize(
    ("option", "allowed"), [("on_disconnect", "kill, keep"), ("track", "all, plugins, none")]
)
@pytest.mark.parametrize("text", ["", "al", "everything", "None!", True])
def test_a_choice_is_one_of_those_that_are_told(option, allowed, text):
    with pytest.raises(AnsibleOptionsError, match=allowed):
        parsed(option, text)


def test_arguments_come_before_variables_and_those_before_the_environment(monkeypatch):
    monkeypatch.setenv("TREEKILL_KILL_TIMEOUT", "1")
    assert resolve().timeout == 1.0
    assert resolve({"treekill_kill_timeout": 2}).timeout == 2.0
    assert resolve({"treekill_kill_timeout": 2}, {"kill_timeout": 3}).timeout == 3.0


def test_what_is_not_given_is_not_looked_at():
    assert (
        resolve(
            {"treekill_kill_timeout": None, "kill_timeout": 5, "treekill_nothing": 1},
            dict.fromkeys(ARGUMENT_NAMES),
        )
        == DEFAULTS
    )


@pytest.mark.parametrize("option", WRITTEN)
def test_a_wrong_value_is_refused_wherever_it_comes_from(option, monkeypatch):
    refusal = f"treekill option {option}: 'no such' is not allowed"
    with pytest.raises(AnsibleOptionsError, match=refusal):
        resolve({f"treekill_{option}": "no such"})
    if option in ARGUMENT_NAMES:
        with pytest.raises(AnsibleOptionsError, match=refusal):
            resolve(None, {option: "no such"})
    monkeypatch.setenv(f"TREEKILL_{option.upper()}", "no such")
    with pytest.raises(AnsibleOptionsError, match=refusal):
        resolve()


# What a run writes down.


@pytest.fixture
def _home(monkeypatch):
    for option in RECORD_VARIABLES.values():
        monkeypatch.delenv(f"TREEKILL_{option.upper()}", raising=False)
    monkeypatch.setenv("HOME", "/home/deploy")


@pytest.mark.usefixtures("_home")
def test_by_default_there_is_a_journal_in_ansibles_home_and_no_report():
    home = C.config.get_config_value("ANSIBLE_HOME")
    assert resolve_records() == RecordOptions("", f"{home}/treekill/journal", 30.0, 8 * 1024 * 1024)


@pytest.mark.usefixtures("_home")
@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("~/r.json", "/home/deploy/r.json"),
        ("$HOME/r/", "/home/deploy/r/"),
        ("/a/../b", "/b"),
        ("none", ""),
        ("", ""),
    ],
)
def test_a_path_is_made_absolute_and_none_is_none(text, path):
    assert resolve_records({"treekill_report_path": text}).report_path == path
    assert resolve_records({"treekill_journal_path": text}).journal_path == path


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("journal", "{directory}/sub/journal"),
        ("../journal", "{directory}/journal"),
        ("{{CWD}}/journal", "{directory}/journal"),
        ("~/journal", "{directory}/journal"),
        ("/nowhere/none/../journal", "/nowhere/journal"),
        ("None", "none"),
        ("", "none"),
    ],
)
def test_a_relative_path_of_a_file_begins_at_the_directory_of_the_file(written, found):
    """As core's own paths do. The line at `-v` shows the path in force."""
    configuration = (
        "[defaults]\ninventory = ../hosts.json\ncallbacks_enabled = treekill.remote.guardian\n"
        f"[treekill]\njournal_path = {written}\njournal_days = 0\n"
    )
    with start_playbook(
        [{"name": "Do nothing", "ansible.builtin.meta": "noop"}],
        files={"sub/ansible.cfg": configuration},
        environ={"ANSIBLE_CONFIG": "sub/ansible.cfg"},
        arguments=["-v"],
    ) as run:
        said = run.finished()
    assert f"Journal: {found.format(directory=run.directory)}." in said, said


def test_a_relative_path_of_a_variable_begins_at_the_current_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    records = resolve_records({"treekill_report_path": "r/", "treekill_journal_path": "j"})
    assert (records.report_path, records.journal_path) == (f"{tmp_path}/r/", f"{tmp_path}/j")


@pytest.mark.parametrize("text", ["none", "None", "", " , "])
def test_after_kill_can_be_none(text):
    assert resolve_after({"treekill_after_kill": text}).files == ()


@pytest.mark.usefixtures("_home")
@pytest.mark.parametrize(
    ("option", "allowed"),
    [
        ("journal_days", "a number of days, 0 or more"),
        ("journal_size", "a number of megabytes, 0 or more"),
    ],
)
@pytest.mark.parametrize("text", ["-1", "nan", "inf", "a lot"])
def test_a_bound_is_a_number(option, allowed, text):
    with pytest.raises(AnsibleOptionsError, match=f"treekill option {option}: .*{allowed}"):
        resolve_records({f"treekill_{option}": text})


def test_an_option_of_the_run_is_none_of_a_task():
    assert not {*RECORD_VARIABLES} & {*VARIABLES}


def test_the_kill_pass_knows_the_defaults_of_the_documentation():
    options = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    assert ",".join(options["finish_programs"]["default"]) == PROGRAMS
    assert ",".join(options["finish_modules"]["default"]) == MODULES


def test_the_request_of_a_lease_has_each_option_that_a_host_knows():
    """All of them differ from the defaults of the request: none is one by accident."""
    options = resolve(
        None,
        {
            "kill_signal": "INT",
            "kill_children": False,
            "kill_children_signal": "HUP",
            "kill_mode": "tree",
            "kill_timeout": 3,
            "finish_programs": ["dpkg"],
            "finish_modules": ["apt"],
            "finish_timeout": 7,
        },
    )
    made, usual = vars(options.request("r", "l", arguments=False)), vars(KillRequest())
    shared = {field.name for field in dataclasses.fields(options)} & set(made)
    assert {name: made[name] for name in shared} == {
        name: getattr(options, name) for name in shared
    }
    assert not [name for name in shared if made[name] == usual[name]]
    assert (made["run"], made["lease"], made["arguments"]) == ("r", "l", False)


def test_transactions_are_left_to_finish_unless_the_option_says_otherwise():
    off = parsed("finish", "false")
    assert (off.finish, off.finish_modules) == ("", "")
    assert not parsed("finish_programs", "").finish
    assert parsed("finish_programs", "dpkg, mkfs.*").finish == "dpkg,mkfs.*"
    assert parsed("finish_modules", "dnf").finish_modules == "dnf"
    assert resolve({"treekill_finish_programs": ["rpm", "dpkg"]}).finish == "rpm,dpkg"
    assert resolve({"treekill_finish": False}).finish == ""
    # Connection plugins hand on what core has read: lists, the default too.
    assert parsed("finish_programs", PROGRAMS.split(",")) == DEFAULTS
    assert parsed("finish_modules", ["dnf"]).finish_modules == "dnf"
    assert resolve(arguments={"finish_modules": ["apt"]}).finish_modules == "apt"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("finish_programs", "a b"),
        ("finish_programs", "*pkg"),
        ("finish_programs", "/usr/bin/dpkg"),
        ("finish_modules", "pip"),
    ],
)
def test_other_names_of_programs_are_refused(option, value):
    with pytest.raises(AnsibleOptionsError, match=option):
        parsed(option, value)
