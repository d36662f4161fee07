# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard of a connection: a command under a lease does and prints what it does without one."""

from __future__ import annotations

import shlex
import types
from typing import Any

import pytest
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
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

from ..run_factory import a_run, answer_of

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
    with a_run({"commands": forms}) as process:
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
