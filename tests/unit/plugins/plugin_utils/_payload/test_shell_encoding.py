# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts that are carried through shells arrive as they were sent.

Shells may change other texts.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._survey.commands import task_name
from ansible_collections.treekill.remote.plugins.plugin_utils._core import options
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.task import GuardedTask
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.shell_encoding import (
    carried,
    octal,
    quoted_for_any,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.supervisor_command import (
    Supervision,
)

SHELLS = [
    shell
    for shell in ("dash", "bash", "busybox ash", "ksh", "zsh")
    if shutil.which(shell.split(maxsplit=1)[0])
]
LOGIN_SHELLS = [
    shell for shell in ("dash", "bash", "ksh", "zsh", "fish", "tcsh", "csh") if shutil.which(shell)
]

SCRIPT = """\
a='it''s'; b="$a !now ! `echo back` $(printf '%s' 50% )"
printf '<%s>' "$b" '\\\\' "\\$a" '$a' "~ * ? [a] {b,c} # ; & | ^ = :"
printf '%s' 'ü €' | od -An -tx1
[ "$$" = "$(exec sh -c 'echo $PPID')" ] && echo own
cat <<END
a line of $a
END
"""


def as_sudo_hands_it_on(words: list[str]) -> str:
    """Return what `sudo -i` gives to the login shell.

    All but letters, digits, underscore, hyphen and dollar has a backslash before it.
    """
    return " ".join(re.sub(r"([^a-zA-Z0-9_$-])", r"\\\1", word) for word in words)


def output_of(*words: str) -> tuple[int, bytes, bytes]:
    done = subprocess.run(words, capture_output=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_every_posix_shell_makes_the_text_again(shell):
    assert output_of(*shell.split(), "-c", carried(SCRIPT)) == output_of("/bin/sh", "-c", SCRIPT)


@pytest.mark.parametrize("shell", LOGIN_SHELLS)
def test_every_login_shell_leaves_it_as_it_is(shell):
    assert output_of(shell, "-c", f"/bin/sh -c {quoted_for_any(SCRIPT)}") == output_of(
        "/bin/sh", "-c", SCRIPT
    )


@pytest.mark.parametrize("times", [1, 2, 3])
def test_it_stays_the_same_through_any_number_of_login_shells_between(times):
    words, plain = ["/bin/sh", "-c", carried(SCRIPT)], ["/bin/sh", "-c", SCRIPT]
    for dummy in range(times):
        words, plain = (
            ["/bin/bash", "-c", as_sudo_hands_it_on(words)],
            ["/bin/bash", "-c", as_sudo_hands_it_on(plain)],
        )
    assert output_of(*words) == output_of("/bin/sh", "-c", SCRIPT)
    # The control: the plain text does not.
    assert output_of(*plain) != output_of("/bin/sh", "-c", SCRIPT)


def test_nothing_in_it_is_read_by_any_shell():
    every = "".join(map(chr, range(1, 256)))
    assert not re.search(r"[$!`'{}\n\r]|\\[\\'\"]|[^ -~]", octal(every))


def test_the_process_stays_and_shows_the_text():
    status, shown, dummy = output_of(
        "/bin/sh", "-c", carried("tr '\\0' '|' </proc/$$/cmdline; exit 3")
    )
    assert (status, shown) == (3, b"/bin/sh|-c|tr '\\0' '|' </proc/$$/cmdline; exit 3|")


def test_a_text_that_would_be_too_long_is_left_as_it_is():
    text = "echo '" + "$" * 40000 + "'"
    assert carried(text) == text
    assert quoted_for_any(text) == shlex.quote(text)


def test_no_text_of_the_users_is_on_a_supervisors_command_line():
    name = "Ping it!now $HOME `x` 'a' \"b\" \\ ü"
    task = GuardedTask(
        host="h!",
        name=name,
        options=options.resolve(),
        interpreters=("/usr/bin/python3",),
        show_arguments=True,
    )
    for words in (
        Supervision("0" * 16, "0" * 8, task).before_file(),
        Supervision("0" * 16, "0" * 8, task).before_stdin()[0],
    ):
        request = shlex.split(words)[-1].split(" ")
        assert [
            word for word in request if not re.fullmatch(r"[a-z_]+=[0-9A-Za-z_.,:/+@-]*", word)
        ] == []
        (word,) = [word.partition("=")[2] for word in request if word.startswith("task=")]
        assert task_name(word) == name
