# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module that is no Python script has the view and the end that it has without a supervisor."""

from __future__ import annotations

import os
import re
import shutil
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugins.plugin_utils.supervised import PYTHON, PYTHONS, Module, both, old_python

PROBE = r"""
printf '%s\0' "$0" "$@" | od -c
for name in environ cmdline; do
    echo "$name"; tr '\0' '\n' </proc/$$/$name | grep -v ^TREEKILL=
done
names='Name|Umask|Uid|Gid|Groups|Sig...|Cap...|NoNewPrivs|Threads|Seccomp'
grep -E "^($names):" /proc/$$/status | grep -v SigQ
cat /proc/$$/limits /proc/$$/oom_score_adj
ls -l /proc/$$/fd
root=${TREEKILL%/*}; root=${root##*/}
read -r pid name state ppid mine session rest </proc/$$/stat
read -r pid name state ppid theirs other rest </proc/$root/stat
echo "$((mine == theirs)) $((session == other)) as the root"
pwd
cat
echo errors >&2
exit 3
"""


def lines(out):
    """Return what it prints, without the numbers that differ from one process to the next."""
    return [
        re.sub(r"^.* (\d+ -> \w+):\[\d+\]$|^l\S+ .* (\d+ -> )", r"\1\2", line)
        for line in out.decode(errors="replace").splitlines()
    ]


ROWS = [
    *(
        (python, environment)
        for python in PYTHONS.values()
        for environment in ({}, {"LC_CTYPE": "C"})
    ),
    *(
        (PYTHON, environment)
        for environment in (
            None,
            {"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
            {"LANG": "C.UTF-8"},
            {"LC_CTYPE": "C.UTF-8"},
        )
    ),
]


@pytest.mark.parametrize(("python", "environment"), ROWS)
def test_a_shell_script(tmp_path, python, environment):
    supervised, bare = both(
        Module(PROBE, tmp_path, "words", python, arguments=["a", "b c", "'\"$x"]),
        stdin=b"on stdin\n",
        env=environment,
    )
    assert lines(supervised.out) == lines(bare.out)
    assert "1 1 as the root" in lines(supervised.out)
    assert lines(supervised.out)[-1] == "on stdin"
    assert (supervised.status, supervised.err) == (bare.status, bare.err) == (3, b"errors\n")


@given(st.lists(st.binary(max_size=30).map(lambda word: word.replace(b"\0", b"")), max_size=6))
@settings(max_examples=20)
def test_any_words(tmp_path_factory, words):
    supervised, bare = both(
        Module("printf '%s\\0' \"$@\"", tmp_path_factory.mktemp("module"), "words", arguments=words)
    )
    assert supervised == bare
    assert supervised.out == b"".join(word + b"\0" for word in words or [b""])


@given(st.lists(st.binary(max_size=30).map(lambda word: word.replace(b"\0", b"")), max_size=6))
@settings(max_examples=20)
def test_any_words_of_a_python_script(tmp_path_factory, words):
    text = (
        "import os, sys\n"
        "sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode, sys.argv[1:])) + b'end')"
    )
    supervised, bare = both(Module(text, tmp_path_factory.mktemp("module"), arguments=words))
    assert supervised == bare
    assert supervised.out == b"\0".join(words) + b"end"


@pytest.mark.skipif(not shutil.which("perl"), reason="no perl here")
def test_perl(tmp_path):
    text = (
        '$| = 1; print "$0 @ARGV ", join(" ", map { $SIG{$_} // "default" } qw(PIPE HUP INT '
        'XFSZ)), " $$ENV{PATH}\\n"; kill "TERM", $$; sleep 10'
    )
    module = Module(text, tmp_path, "words", program=shutil.which("perl"), arguments=["a"])
    supervised, bare = both(module)
    assert supervised == bare
    assert supervised.status == 128 + signal.SIGTERM
    assert b"default default default default" in supervised.out


@pytest.mark.parametrize(
    ("program", "status"), [("/nowhere/perl", 127), ("/etc/passwd", 126), ("/proc", 126)]
)
def test_a_program_that_cannot_be_started(tmp_path, program, status):
    supervised, bare = both(Module("", tmp_path, "words", program=program))
    assert supervised.status == bare.status == status
    assert program.encode() in supervised.err
    assert b"Traceback" not in supervised.err


def test_a_broken_pipe_ends_it_as_ever(tmp_path):
    """Python ignores the signal that then ends other programs."""
    supervised, bare = both(Module("yes | head -n 1; kill -PIPE $$", tmp_path, "words"))
    assert supervised == bare
    assert supervised.status == 128 + signal.SIGPIPE


def test_a_python_that_is_too_old_starts_it_without_a_supervisor(tmp_path):
    old = old_python()
    if old is None:
        pytest.skip("no old Python runs here")
    supervised, bare = both(
        Module('echo "$@" $PPID ${TREEKILL##*/} >&2; cat', tmp_path, "words", old, arguments=["a"]),
        stdin=os.urandom(100000),
    )
    assert supervised.out == bare.out
    assert supervised.status == bare.status == 0
