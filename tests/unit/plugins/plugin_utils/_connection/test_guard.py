# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard of a connection: a command under a lease does and prints what it does without one."""

from __future__ import annotations

import shlex
import subprocess
import types
from typing import Any

import pytest
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.command_line import (
    OUTLIVES_HANG_UP,
    CommandLines,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.guard import (
    guard_connection,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.shell_command import (
    unquoted,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._core import options
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import GuardedTask
from hypothesis import given
from hypothesis import strategies as st

from ..run_factory import answer_of, start_run

#: For a shell to run, some with what they read.
COMMANDS: list[tuple[str, str | None]] = [
    ("true", None),
    ("exit 3", None),
    ("false || exit 4; echo never", None),
    ("echo a; echo b >&2", None),
    ('printf \'%s|\' "$0" "$#" "$@"', None),
    ("echo 'single' \"double $((1 + 1))\" back`echo tick` $(echo dollar)", None),
    ('echo "it\'s" \'a "quote"\' \\\\ \\$HOME', None),
    ("cd /; pwd", None),
    ("( cd /usr; pwd ) && echo there", None),
    ("{ echo one; echo two; } | sort -r", None),
    ("if test -d /; then echo yes; fi", None),
    ("for word in a b c; do echo $word; done", None),
    ("cat <<END\nhere $((2 + 2))\nEND", None),
    ("cat <<'END'\n$HOME 'x' \"y\"\nEND\n", None),
    ("cat", "what it reads\nto the end\n"),
    ('read -r first; echo "$first"; cat', "one\ntwo\n"),
    ("A=1 B='x y' sh -c 'echo $A $B'", None),
    ("X=1; export X; sh -c 'echo $X'", None),
    ("set -e; false; echo never", None),
    ("trap 'echo trapped' EXIT; echo body", None),
    ("kill -TERM $$", None),
    ("exec echo replaced", None),
    ("echo 'äöü €' ; printf '\\377'", None),
    ("echo $- | tr -d s", None),
    ("echo TREEKILL=spare", None),
    ("echo '# no comment' # a comment", None),
    ("! true", None),
    ("sleep 0 & wait $!; echo $?", None),
    ("umask; ulimit -c", None),
    ("echo out; exec >&2; echo err", None),
    ("", None),
    (":", None),
    ("nosuchcommand-at-all", None),
    ("echo '\n\n'", None),
]


def test_commands_do_and_say_what_they_do_and_say_without_a_guard():
    """Each command is run in four ways.

    The executable runs it, as it does a module. The shell of the connection runs it, as it does
    `raw`. The root's pid is announced. The connection returns text.
    """
    forms = [
        *COMMANDS,
        *((f"/bin/sh -c {shlex.quote(command)}", stdin) for command, stdin in COMMANDS),
    ]
    with start_run({"commands": forms}) as process:
        answers = answer_of(process)
    assert len(answers) == len(forms)
    # A shell names the line of its script in an error.
    differing = {
        form: one
        for (form, dummy), one in zip(forms, answers, strict=True)
        if not one[0] == one[1] == one[2] == one[3]
    }
    assert differing == {}


WORDS = st.text(st.characters() | st.sampled_from("'\"\\ $`\n;&|"))


@given(WORDS)
def test_a_quoted_word_isunquoted(word):
    assert unquoted(shlex.quote(word)) == word


@given(WORDS)
def test_what_a_shell_would_still_expand_is_left_alone(text):
    word = unquoted(text)
    assert word is None or shlex.quote(word) == text


@pytest.mark.parametrize(
    "text", ["'a' b", "a b", "$HOME", '"$HOME"', "'a'$(b)", "'open", "'a';b", "a'b'", "'a'\n", ""]
)
def test_more_than_one_plain_word_is_none(text):
    assert unquoted(text) is None


@pytest.mark.parametrize(
    "sudoable", [True, False], ids=["what the task asks for", "core's own handling of files"]
)
def test_a_lease_tells_whether_it_may_run_what_the_task_asks_for(sudoable):
    """For the second kind, a recap does not report what its kill pass would not have found."""
    taken: list[Any] = []
    link: Any = types.SimpleNamespace(
        run="00000000000000aa",
        take_lease=lambda request: taken.append(request.terms) or True,
        done=lambda lease: None,
        announced=False,
        main=types.SimpleNamespace(pid=0),
        page=types.SimpleNamespace(gate_closed=False),
        show_news=lambda: None,
    )
    context = PlayContext()
    context.executable = "/bin/sh"
    connection = connection_loader.get("local", context, new_stdin=None)
    connection.set_options(var_options={})
    task = GuardedTask(
        host="here", name="a task", options=options.resolve(), interpreters=(), show_arguments=True
    )
    assert guard_connection(connection, link, task) is not None
    connection.exec_command("true", sudoable=sudoable)
    assert [terms.payload for terms in taken] == [sudoable]


MODULE = "/home/me/.ansible/tmp/ansible-tmp-1/AnsiballZ_command.py"


def lines_of(connection: str = "ssh", **more: Any) -> CommandLines:
    context = PlayContext()
    context.executable = "/bin/sh"
    plugin = connection_loader.get(connection, context, new_stdin=None)
    plugin.set_options(var_options={})
    task = GuardedTask(
        host="web1",
        name="a task",
        options=options.resolve({}, more),
        interpreters=("python3",),
        show_arguments=True,
    )
    return CommandLines(plugin, "00000000000000aa", lambda: task)


def module_line(lines: CommandLines, python: str, path: str) -> str:
    lines._program_carriers.add(path)
    return lines.around_module(f"{python} {path}".strip(), "", python, path)


@pytest.mark.parametrize(
    ("connection", "python", "path", "more", "outlives"),
    [
        ("ssh", "/usr/bin/python3", MODULE, {}, True),
        ("ssh", "/usr/libexec/platform-python", MODULE, {}, True),
        ("ssh", "", MODULE, {}, True),  # no script of Python's
        # On standard input: there is no terminal.
        ("ssh", "/usr/bin/python3", "", {}, False),
        # It may be too old to have a supervisor, which would end the command.
        ("ssh", "/usr/bin/python2.7", MODULE, {}, False),
        ("ssh", "/usr/bin/python", MODULE, {}, False),
        ("ssh", "/usr/bin/python3", MODULE, {"supervise": False}, False),
        ("ssh", "/usr/bin/python3", MODULE, {"kill_children": False}, False),
        ("local", "/usr/bin/python3", MODULE, {}, False),
    ],
)
def test_a_shell_outlives_its_terminal_where_a_supervisor_ends_the_command(
    connection, python, path, more, outlives
):
    lines = lines_of(connection, **more)
    cmd = module_line(lines, python, path)
    lease = lines.lease_of(cmd)
    inside = lines.with_cookie(lease, cmd, sudoable=True)
    assert (OUTLIVES_HANG_UP in inside) is outlives
    become = f"sudo -u root /bin/sh -c {shlex.quote(inside)}"
    leader = shlex.split(lines.in_leader(lease, f"/bin/sh -c {shlex.quote(become)}"))
    assert leader == ["/bin/sh", "-c", OUTLIVES_HANG_UP * outlives + become]
    # A raw command has no shell.
    assert lines.in_leader(lease, become) == become


@pytest.mark.parametrize("found", [True, False])
def test_where_no_python_is_found_the_hang_up_ends_the_command(found):
    """There is no supervisor then, which would end it."""
    lines = lines_of()
    cmd = module_line(lines, "", MODULE)
    line = lines.with_cookie(lines.lease_of(cmd), cmd, sudoable=True)
    # Both branches only show the handlers of the shell.
    branches = line.partition("; then ")
    trap = OUTLIVES_HANG_UP * branches[2].startswith(OUTLIVES_HANG_UP)
    search = branches[0].replace("python3", "true" if found else "no-such-program")
    shown = f"{search}; then {trap}trap; else trap; fi"
    done = subprocess.run(["bash", "-c", shown], capture_output=True, text=True, check=True)
    assert ("exit" in done.stdout) is found


def test_what_core_does_for_itself_is_left_to_the_hang_up():
    lines = lines_of()
    lease = lines.lease_of("mkdir x")
    assert OUTLIVES_HANG_UP not in lines.with_cookie(lease, "mkdir x", sudoable=False)
    assert lines.in_leader(lease, "/bin/sh -c 'sudo mkdir x'") == "/bin/sh -c 'sudo mkdir x'"


@pytest.mark.parametrize(
    ("become", "outlives"),
    [
        ("sudo", True),
        ("community.general.doas", True),
        ("community.general.machinectl", False),
        ("community.general.run0", False),
    ],
)
def test_what_asks_systemd_for_a_command_ends_with_its_terminal(become, outlives):
    """It holds the terminal of the command open. The command itself outlives its terminal."""
    lines = lines_of()
    # Plugins of other collections are not installed here.
    lines._connection.become = types.SimpleNamespace(name=become)
    cmd = module_line(lines, "/usr/bin/python3", MODULE)
    lease = lines.lease_of(cmd)
    inside = lines.with_cookie(lease, cmd, sudoable=True)
    assert OUTLIVES_HANG_UP in inside
    sent = f"/bin/sh -c {shlex.quote(f'become /bin/sh -c {shlex.quote(inside)}')}"
    assert (lines.in_leader(lease, sent) != sent) is outlives
