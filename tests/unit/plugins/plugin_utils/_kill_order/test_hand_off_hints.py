# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hand-offs that only the text of a task shows: their clients have returned."""

from __future__ import annotations

import time

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_off_hints import (
    commands_in,
    hints,
    places_in,
)
from hypothesis import given
from hypothesis import strategies as st


def named(text: str) -> list[str]:
    """Return what the text of a shell task names."""
    return [one.what for one in hints([("_raw_params", text)])]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("echo sleep 9 | at now", ["a job of at"]),
        ("echo x|at now; sleep 9", ["a job of at"]),
        ("cd /tmp && docker run -d --name 'web' image > /dev/null 2>&1", ["docker run web"]),
        ("sudo -u root -n systemctl start a", ["a"]),
        ("A=b nohup timeout -s KILL 5 /usr/bin/systemd-run --unit=job x &", ["job"]),
        ("if true; then crontab file; fi", ["a crontab"]),
        ("x=$(docker run -d --name web image)", ["docker run web"]),
        ("bash -lc 'tmux new-session -d -s work'", ["tmux work"]),
        ("docker run -d \\\n  --name web image", ["docker run web"]),
        (
            "at now <<EOF\nssh db2\ncrontab file\nEOF\nscreen -dmS work",
            ["a job of at", "screen work"],
        ),
        ("docker run -d -v $(pwd):/app --name web image", ["docker run web"]),
        ("docker run -d -e A=`hostname` --name $(name) image", ["docker run $(...)"]),
        (
            'x="$(docker run -d --name "my web" image)"; docker start b',
            ["docker run my web", "docker start b"],
        ),
        ("x=$(echo $(docker run -d --name web image))", ["docker run web"]),
        ("echo 'a # b'; docker run -d --name web image", ["docker run web"]),
        ("bash -euo pipefail -c 'at now'", ["a job of at"]),
        ("su - app -c 'tmux new-session -d -s work'", ["tmux work"]),
        ("runuser -u app -- crontab file", ["a crontab"]),
        ("runuser -l app -c 'crontab file'", ["a crontab"]),
        ("sudo --user app docker start web", ["docker start web"]),
        ("timeout --signal KILL 5 docker start web", ["docker start web"]),
        ("flock -n /tmp/lock docker run -c 5 -d --name web image", ["docker run web"]),
        ("flock /tmp/lock -c 'docker start web'", ["docker start web"]),
        ("docker ps -aq | xargs docker start", ["docker start ..."]),
        ("eval docker start web", ["docker start web"]),
    ],
)
def test_clients_that_return_at_once_are_found_in_a_text(text: str, what: list[str]) -> None:
    assert named(text) == what


@pytest.mark.parametrize(
    "text",
    [
        "ssh db2 sleep 9",
        "docker run --rm image",
        "echo docker run -d image",
        "echo 'a; at now'",
        "# at now",
        "cat <<EOF\nat now\nEOF",
        "look at now",
        "at -l; crontab -l; tmux ls",
        "'unfinished at now",
        "command -v tmux || apt-get install tmux",
        "echo '$(at now)'",
        'echo "\\$(at now)"',
        "# it's $(at now)",
        "systemctl restart nginx",
        "",
    ],
)
def test_nothing_else_is_named(text: str) -> None:
    """A client that waits would be a process of the tree."""
    assert named(text) == []


def test_a_variable_may_lead_to_another_daemon() -> None:
    arguments = [("_raw_params", "export DOCKER_HOST=x; KUBECONFIG=y docker start web")]
    assert places_in(arguments) == ["DOCKER_HOST", "KUBECONFIG"]
    assert not places_in([("_raw_params", "docker start DOCKER_HOST"), ("name", "DOCKER_HOST=x")])


def test_the_words_of_a_command_are_read_as_they_are() -> None:
    argv = [("argv", "systemctl"), ("argv", "start"), ("argv", "a b")]
    assert [one.what for one in hints(argv)] == ["a b"]
    assert hints([("name", "at now"), ("chdir", "docker start web")]) == []


@pytest.mark.parametrize(
    "text",
    [
        "<<" + "a" * 8190,
        ("<<" + "a" * 30 + "\n") * 240,
        "<<a\n" * 1638,
        "<<a" * 2730,
        "<<'a\n" * 1600,
        "(" * 8192,
        "$(" * 4096,
        "\"'$(`" * 1638,
        "eval " * 1638,
    ],
)
def test_a_hostile_text_takes_no_long_time(text: str) -> None:
    """A kill order must not wait for it."""
    began = time.process_time()
    named(text)
    assert time.process_time() - began < 0.5


@given(
    st.text(st.sampled_from("'\"\\`$(){};&|<>#\n\t -=atdockerunsh") | st.characters(), max_size=200)
)
def test_no_text_is_too_odd(text: str) -> None:
    """A template may make any text."""
    for command in commands_in(text):
        assert command
    hints([("_raw_params", text), ("argv", text), ("cmd", f"sh -c '{text}'")])
