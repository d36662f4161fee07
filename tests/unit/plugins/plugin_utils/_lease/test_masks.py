# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No secret of a task is in a recap, a report or a warning.

What ansible-core does not print is not printed here.
"""

from __future__ import annotations

import json
import shlex
import time
import types
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
from ansible.playbook.task import Task
from ansible_collections.treekill.remote.plugins.plugin_utils._core import options as kill_options
from ansible_collections.treekill.remote.plugins.plugin_utils._core.no_log_parameters import (
    hidden_parameters,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import KillOrderTerms
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order import kill_order
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.connection_spec import (
    ConnectionSpec,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.kill_order import (
    KillOrder,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.masks import (
    Masks,
    arguments_of,
    secrets_of_arguments,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.request import (
    Command,
    request_for_command,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import (
    GuardedTask,
    name_of,
)
from hypothesis import given
from hypothesis import strategies as st

from ..playbook_runs import start_playbook
from ..report_factories import make_kill_report, make_process

CONNECTION = ConnectionSpec(
    "ssh",
    {"password": "connectme", "port": 22},
    "sh",
    {},
    "sudo",
    {"become_pass": "becomeme"},
    {"password": None},
)
OPTIONS = kill_options.resolve()

SECRET = "sesame's hunter2/ü"


@pytest.mark.parametrize(
    "form", [str, shlex.quote, lambda text: urllib.parse.quote(text, safe=""), json.dumps, repr]
)
def test_a_value_is_masked_in_each_form_that_a_command_line_may_have(form):
    masked = Masks.from_secrets([SECRET]).command(f"tool {form(SECRET)} --level 5")
    assert "hunter2" not in masked
    assert masked.startswith("tool ")
    assert masked.endswith(" --level 5")


@given(
    st.text(min_size=6, alphabet=st.characters(min_codepoint=33, max_codepoint=126)),
    st.integers(min_value=0, max_value=300),
)
def test_a_value_that_the_host_has_cut_off_is_masked_as_far_as_it_is_there(secret, length):
    """The host cuts a long command line, in the middle of a secret too."""
    command = f"{' ' * (239 - length % 6)}{secret}"[:240]
    if len(command) == 240:
        assert Masks.from_secrets([secret]).command(command).rstrip("*").strip() == ""


def test_each_line_of_a_key_is_masked():
    key = "-----BEGIN KEY-----\nMIIBVAIBADAN\nBgkqhkiG9w0B\n-----END KEY-----\n"
    masked = Masks.from_secrets([key]).command("sh -c cat > k <<E MIIBVAIBADAN BgkqhkiG9w0B E")
    assert "MIIB" not in masked
    assert "Bgkq" not in masked


def test_arguments_are_known_by_the_names_that_their_module_declares_at_any_depth():
    arguments = arguments_of(
        {
            "name": "app",
            "settings": [{"bind_secret_key": "aaaa", "level": 5}],
            "login_password": "bbbb",
            "note": {"deep": {"x": "cccc"}},
        }
    )[0]
    assert sorted(secrets_of_arguments(arguments, {"bind_secret_key", "deep"})) == [
        "aaaa",
        "bbbb",
        "cccc",
    ]


def test_the_source_of_a_module_tells_its_hidden_parameters_and_their_aliases():
    assert {"url_password", "password"} <= hidden_parameters("uri")
    assert "content" in hidden_parameters("copy")
    assert hidden_parameters("no.such.module") == frozenset()


NAMES = [{"name": "Log in as {{ user }} with {{ item }}"}, {"name": None}]


@pytest.mark.parametrize("data", NAMES)
def test_with_no_log_a_task_is_named_as_it_is_written(data):
    task = Task.load({**data, "meta": "noop", "no_log": True})
    task.name = "Log in as me with hunter2"  # as core has templated it
    assert name_of(task) == (data["name"] or "meta")


def test_without_no_log_a_name_loses_its_credentials_alone():
    task = Task.load({"name": "Fetch https://me:hunter2@host/x", "meta": "noop"})
    assert name_of(task) == "Fetch https://me:********@host/x"


#: Puts a parameter that is declared no_log on a child's command line, as modules for databases do.
#: It also puts there what core takes for secret besides.
MODULE = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule

module = AnsibleModule({
    "magic": {"type": "str", "no_log": True, "aliases": ["spell"]}, "shown": {"type": "str"},
})
script = ": > ready; sleep 73; :"
words = [module.params["magic"], module.params["shown"], "https://me:wordofurl@host/x.git"]
module.run_command(["bash", "-c", script] + words)
module.exit_json()
"""

VALUES = {"spell": "openses ame", "shown": "plainword"}


@pytest.mark.parametrize("hidden", [False, True], ids=["plain", "no_log"])
def test_no_secret_of_a_module_is_in_recap_report_or_log(hidden):
    """The control is the parameter that is no secret: without no_log on the task it is shown."""
    task: dict[str, Any] = {
        "name": "Call {{ word[:4] }}",
        "vars": {"word": "opensesame"},
        "call": VALUES,
        "no_log": hidden,
    }
    options = {"report_path": "report.json"}
    with start_playbook(
        [task],
        options=options,
        files={"library/call.py": MODULE},
        configuration="library = library\nlog_path = log",
    ) as play:
        play.wait_for((play.directory / "ready").exists)
        said = play.interrupt()
        report, log = (Path(play.directory / name).read_text() for name in ("report.json", "log"))
    for place in (said, report, log):
        assert "openses" not in place, place
        assert "wordofurl" not in place, place
    assert ("plainword" in said) is not hidden, said
    assert ("plainword" in report) is not hidden, report
    assert "plainword" not in log, log
    assert ("Call open" in report) is not hidden


def an_order(**task: Any) -> KillOrder:
    terms = KillOrderTerms(
        "r", "l", OPTIONS, (), becomes=False, pipelined=False, show_arguments=True, **task
    )
    return KillOrder(terms, CONNECTION)


def test_what_cannot_be_read_of_a_module_hides_all_values_and_loses_no_report(monkeypatch):
    def fail(action: str) -> frozenset[str]:
        raise RuntimeError(action)

    monkeypatch.setattr(kill_order, "hidden_parameters", fail)
    order = an_order(action="x", arguments=(("a", "openses"),))
    told = order.masked(make_kill_report(gone=[make_process(2, command="tool openses")]))
    assert [row.command for row in told.gone] == ["tool ********"]


def test_passwords_of_the_connection_are_masked_in_reports_and_reasons():
    order = an_order()
    assert (
        order.masked_reason("login as connectme, becomeme failed at https://a:b@c/")
        == "login as ********, ******** failed at https://a:********@c/"
    )
    told = order.masked(
        make_kill_report(
            survivors=[
                make_process(2, command="sshpass -pconnectme", ended=None, reason="becomeme")
            ]
        )
    )
    assert [(row.command, row.reason) for row in told.survivors] == [
        ("sshpass -p********", "********")
    ]


@pytest.mark.parametrize(
    "word", ["a" * 4000, "pass" * 1000, "a:" * 2000, "a@" * 2000, "https://" * 500, "token='" * 500]
)
def test_a_host_that_sends_long_command_lines_is_not_waited_for(word):
    began = time.process_time()
    Masks.from_secrets(["secret" * 3]).command(word)
    assert time.process_time() - began < 2


def test_arguments_that_cannot_be_looked_at_leave_the_task_guarded_and_its_command_lines_hidden():
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("undefined")

    task = GuardedTask(
        "web1", "a task", OPTIONS, (), show_arguments=True, arguments=lambda: {"a": Broken()}
    )
    connection: Any = types.SimpleNamespace(transport="local")
    order = json.loads(
        request_for_command(
            "r",
            task,
            connection,
            Command("l", becomes=False, pipelined=False, supervised=False),
            "{}",
        ).order
    )
    assert (order["show_arguments"], order["arguments"]) == (False, [])


def order_of(arguments: dict[str, Any]) -> dict[str, Any]:
    task = GuardedTask(
        "web1", "a task", OPTIONS, (), show_arguments=True, arguments=lambda: arguments
    )
    connection: Any = types.SimpleNamespace(transport="local")
    order: dict[str, Any] = json.loads(
        request_for_command("r", task, connection, Command("l", False, False, False), "{}").order
    )
    return order


@pytest.mark.parametrize(("others", "shown"), [(255, True), (256, False), (300, False)])
def test_of_a_task_with_more_values_than_are_sent_no_command_line_is_shown(others, shown):
    order = order_of(
        {
            "items": [f"value{number}" for number in range(others)],
            "magic": "openses",
            "db": {"password": "hunter2"},
        }
        if not shown
        else {"items": [f"value{number}" for number in range(others)], "password": "hunter2"}
    )
    assert order["show_arguments"] is shown
    assert order["arguments"][0][1] == "hunter2"
    assert len(order["arguments"]) == 256


def test_a_long_value_is_masked_by_its_beginning():
    order = order_of({"magic": "hunter2" * 1200})
    masks = Masks.from_secrets(
        secrets_of_arguments(list(map(tuple, order["arguments"])), {"magic"})
    )
    assert order["show_arguments"]
    assert masks.command(("tool " + "hunter2" * 1200)[:240]) == "tool ********"


@pytest.mark.parametrize(
    "command",
    [
        "tool\0opens esame\0--level 5",
        "tool\0opens\0esame\0--level 5",
        "tool\0a b\0--db-password\0opens esame\0--level 5",
    ],
)
def test_a_value_is_masked_within_a_word_and_over_several_words(command):
    shown = Masks.from_secrets(["opens esame"]).command(command)
    assert "esame" not in shown
    assert shown.endswith("******** --level 5")
    assert "\0" not in shown


def test_the_words_of_a_report_are_masked_one_by_one():
    command = "tool\0--db-password\0correct horse battery\0--level\x005"
    order = an_order()
    told = order.masked(make_kill_report(gone=[make_process(2, command=command)]))
    assert [row.command for row in told.gone] == ["tool --db-password ******** --level 5"]
