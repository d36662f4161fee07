# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hand-offs, read from the command lines of their clients.

Nothing but the name of the hand-off is taken: all other words may be secrets.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import (
    ReportedHandOff,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_off import (
    Followed,
    HandOff,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_offs import (
    CLIENTS,
    hand_off,
    of_command,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._lease.masks import Masks
from hypothesis import example, given
from hypothesis import strategies as st

from ..report_factories import make_kill_report
from .test_hand_offs_of_tree import told


def read(line: str) -> HandOff | None:
    """Return what the command line asks for."""
    return hand_off(shlex.split(line))


def shown(found: HandOff) -> str:
    """Return all that a report has of it."""
    return repr(rewritten(found))


def rewritten(found: HandOff, mask: Callable[[str], str] | None = None) -> ReportedHandOff:
    """Return what is left of it in a report whose secrets are masked.

    `mask`: the masks of a task without secrets, if it is None.
    """
    mask = mask or Masks.from_secrets([]).command
    entry = found.reported(seen=True).to_message()
    (one,) = make_kill_report(elsewhere=[entry]).rewritten(mask, mask).elsewhere
    return one


@pytest.mark.parametrize(
    ("line", "kind", "what", "look"),
    [
        (
            "docker run --rm -it -e TOKEN=secret -v /a:/b --name web image sh -c secret",
            "container",
            "docker run web",
            "docker ps --filter name=web",
        ),
        (
            "docker --context prod run -d --network=none image sleep 9",
            "container",
            "docker run of image image",
            "docker --context prod ps --filter ancestor=image",
        ),
        (
            "podman --connection far --log-level error container run -itv /a:/b image",
            "container",
            "podman run of image image",
            "podman --connection far ps --filter ancestor=image",
        ),
        (
            "podman-remote run -d image",
            "container",
            "podman-remote run of image image",
            "podman-remote ps --filter ancestor=image",
        ),
        (
            "docker start a b",
            "container",
            "docker start a b",
            "docker ps --filter name=a --filter name=b",
        ),
        ("podman start --all", "container", "podman", "podman ps"),
        ("podman exec -l secret -x", "container", "podman", "podman ps"),
        ("podman exec --cidfile /secret sleep 9", "container", "podman", "podman ps"),
        (
            "docker exec -it -u root -e TOKEN=secret web sh -c secret",
            "container",
            "docker exec in web",
            "docker top web",
        ),
        (
            "docker compose -p shop up -d",
            "container",
            "docker compose up",
            "docker compose -p shop ps",
        ),
        (
            "docker compose --progress plain up -dV",
            "container",
            "docker compose up",
            "docker compose ps",
        ),
        ("docker-compose --context prod up", "container", "docker-compose up --context prod", ""),
        (
            "kubectl exec web -n prod -- secret",
            "container",
            "kubectl exec web",
            "kubectl -n prod get pod web",
        ),
        (
            "kubectl exec deploy/web -- secret",
            "container",
            "kubectl exec deploy/web",
            "kubectl get deploy/web",
        ),
        ("kubectl exec -f file -- secret", "container", "kubectl", "kubectl get pod"),
        (
            "kubectl --token secret -n prod exec -it pod-1 -- sh -c secret",
            "container",
            "kubectl exec pod-1",
            "kubectl -n prod get pod pod-1",
        ),
        (
            "ssh -o A=secret -tt -p 22 -i key root@db2 psql secret",
            "host",
            "root@db2",
            "ssh -p 22 root@db2 ps -ef",
        ),
        (
            "rsync -a -e 'ssh -p 3' --exclude secret:b /src/ db2:/secret",
            "host",
            "db2",
            "ssh -p 3 db2 ps -ef",
        ),
        ("rsync -a rsync://mirror/module /to", "host", "mirror", ""),
        (
            "rsync -a 'me@[2001:db8::1]:/a' /to",
            "host",
            "me@2001:db8::1",
            "ssh me@2001:db8::1 ps -ef",
        ),
        ("ssh db2 -p 22 -l me psql -p secret", "host", "db2", "ssh -p 22 -l me db2 ps -ef"),
        ("ssh -oPort=22 -o 'user me' -o A=secret db2", "host", "db2", "ssh -p 22 -l me db2 ps -ef"),
        (
            "systemd-run --user --wait -E TOKEN=secret --unit=job sleep 9",
            "unit",
            "job",
            "systemctl --user status job",
        ),
        (
            "systemd-run -p A=secret /usr/bin/sleep 9",
            "unit",
            "a unit that runs sleep",
            "systemctl list-units 'run-*'",
        ),
        (
            "systemctl --no-block start a.service b",
            "unit",
            "a.service b",
            "systemctl status a.service b",
        ),
        ("systemctl enable --now a", "unit", "a", "systemctl status a"),
        ("systemctl enable a --now", "unit", "a", "systemctl status a"),
        (
            "systemd-run --job-mode replace run",
            "unit",
            "a unit that runs run",
            "systemctl list-units 'run-*'",
        ),
        ("at -f file now + 1 minute", "queue", "a job of at", "atq"),
        ("batch", "queue", "a job of batch", "atq"),
        ("crontab -u bob file", "queue", "a crontab of bob", "crontab -u bob -l"),
        ("crontab -u bob", "queue", "a crontab of bob", "crontab -u bob -l"),
        (
            "tmux -L own new-session -d -s work 'run -t secret'",
            "terminal",
            "tmux work",
            "tmux -L own ls",
        ),
        ("tmux send-keys -t work secret", "terminal", "tmux work", "tmux ls"),
        ("screen -S work -X stuff secret", "terminal", "screen work", "screen -ls"),
    ],
)
def test_a_client_names_what_it_has_asked_for(line: str, kind: str, what: str, look: str) -> None:
    """The look is a command line that a shell takes as it is, with no secret in it."""
    found = read(line)
    assert found is not None
    one = rewritten(found)
    assert (one.kind, one.what, one.look) == (kind, what, look)
    assert "secret" not in shown(found)


@pytest.mark.parametrize(
    "line",
    [
        "docker ps",
        "docker",
        "docker run",
        "docker --host",
        "podman stop web",
        "kubectl get pod",
        "ssh",
        "ssh -O exit db2",
        "ssh -N -L 1:db:2 db2",
        "rsync -a /from /to",
        "rsync --server -e.LsfxC . /to",
        "systemd-run --scope sleep 9",
        "systemctl status a",
        "systemctl stop a",
        "at -l",
        "crontab -l",
        "crontab -r",
        "tmux ls",
        "tmux kill-server",
        "tmux -V",
        "screen --version",
        "screen -S work -X quit",
        "screen -ls",
        "sleep 9",
    ],
)
def test_a_command_that_hands_nothing_off_is_not_named(line: str) -> None:
    assert read(line) is None


@pytest.mark.parametrize(
    ("line", "at_once"),
    [
        ("docker run image", False),
        ("docker run -d image", True),
        ("docker run -dit image", True),
        ("docker run --detach=false image", False),
        ("docker start web", True),
        ("docker compose up -dV", True),
        ("docker compose up --wait web", True),
        ("docker compose up web -d", True),
        ("docker compose run web sh -c -d", False),
        ("kubectl run web --image i", True),
        ("kubectl run web -it --image i", False),
        ("ssh db2 sleep 9", False),
        ("systemd-run sleep 9", True),
        ("systemd-run --wait sleep 9", False),
        ("systemctl start a", True),
        ("at now", True),
    ],
)
def test_a_client_that_returns_at_once_is_known(line: str, at_once: bool) -> None:
    found = read(line)
    assert found is not None
    assert found.at_once is at_once


@pytest.mark.parametrize(
    ("line", "followed"),
    [
        ("docker run --name web image", Followed("web")),
        # A process can have any command line: no file that it names is read.
        ("docker run --cidfile=/tmp/id image", None),
        # No daemon that it names is asked, and no configuration of its own is used.
        ("docker -H unix:///s run --name web image", None),
        ("docker --config= run --name web image", None),
        ("docker --context prod run --name web image", None),
        ("docker run --name web/../x image", None),
        ("docker run --restart=always --name web image", None),
        ("docker run -d --name web image", None),
        ("docker exec web sleep 9", None),
        ("docker start web", None),
    ],
)
def test_only_a_container_that_its_client_waits_for_is_followed(
    line: str, followed: object
) -> None:
    found = read(line)
    assert found is not None
    assert found.followed == followed


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("ssh -- '-oProxyCommand=touch /tmp/x;' c", "-oProxyCommand=touch /tmp/x;"),
        ("ssh -F /tmp/evil db2 sleep 9", "db2 -F /tmp/evil"),
        ("ssh -J 'a b' db2 sleep 9", "db2 -J a b"),
        ("ssh -l '-oProxyCommand=x' db2 sleep 9", "db2 -l -oProxyCommand=x"),
        ("ssh db2 -J far sleep 9", "db2 -J far"),
        ("ssh -o ProxyJump=far db2 sleep 9", "db2 -J far"),
        ("ssh -o ProxyCommand=x db2 sleep 9", "db2 -o ProxyCommand"),
        ("ssh -o HostName=far db2 sleep 9", "db2 -o HostName=far"),
        ("rsync -a -e '/tmp/evil -p x' /from db2:/to", "db2 --rsh"),
        ("rsync -a -e 'ssh -J far' /from db2:/to", "db2 -J far"),
        ("docker --context prod run --unheard-of x image", "docker"),
        ("kubectl run --unheard-of x -n prod pod", "kubectl"),
        ("rsync -a /from '-oProxyCommand=x:/to'", None),
        ("rsync -a -- '-oProxyCommand=x:/to' /to", "-oProxyCommand=x"),
        ("docker --config /tmp/evil run --name a image", "docker run a --config /tmp/evil"),
        ("docker -H unix:///tmp/s run --name a image", "docker run a -H unix:///tmp/s"),
        ("docker compose -f /tmp/evil.yml up", "docker compose up -f /tmp/evil.yml"),
        ("docker-compose -f /tmp/evil.yml up", "docker-compose up -f /tmp/evil.yml"),
        ("docker exec -- --help sh", "docker exec in --help"),
        ("kubectl --kubeconfig /tmp/evil exec a sh", "kubectl exec a --kubeconfig /tmp/evil"),
        ("tmux -S /tmp/evil attach", "tmux -S /tmp/evil"),
        ("systemctl start -- --host=evil", "--host=evil"),
        ("systemctl -H -oProxyCommand=x start a", "a -H -oProxyCommand=x"),
        ("crontab -u -e file", "a crontab of -e"),
    ],
)
def test_the_command_to_look_executes_nothing_of_a_job(line: str, named: str | None) -> None:
    """The user is to paste it, perhaps as root."""
    found = read(line)
    assert (rewritten(found).what if found else None) == named
    assert found is None or rewritten(found).look == ""


def test_a_mask_swallows_no_quotation_mark() -> None:
    """Text behind a quotation mark would be executed. With a mask, a command shows nothing."""
    found = HandOff("unit", "systemctl", "a", ["systemctl", "status", "a b; touch /tmp/x"])
    assert rewritten(found).look == "systemctl status 'a b; touch /tmp/x'"
    assert rewritten(found, lambda text: text.replace("a b", "***")).look == ""
    # A secret with a quotation mark is looked for before the words are quoted.
    found = HandOff("unit", "systemctl", "a", ["systemctl", "status", "it's"])
    assert rewritten(found, lambda text: text.replace("it's", "***")).look == ""


def test_a_name_is_masked_before_it_is_cut() -> None:
    """A part of a secret would not be recognised."""
    found = HandOff("host", "ssh", "x" * 116 + "hunter2", ())
    shown = rewritten(found, lambda text: text.replace("hunter2", "***")).what
    assert shown == "x" * 116 + "***"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("kubectl run --env DB=hunter2 pod", "kubectl run pod"),
        ("kubectl run --unheard-of hunter2 pod", "kubectl"),
        ("kubectl run DB=hunter2", "kubectl"),
        ("docker run --use-api-socket -e FOO=hunter2 img", "docker"),
        ("docker run --unheard-of hunter2 img", "docker"),
        ("docker run -e A=hunter2 --name web img", "docker run web"),
        ("docker run FOO=hunter2", "docker"),
        ("docker start web FOO=hunter2", "docker"),
        ("docker --unheard-of hunter2 run img", "docker"),
        ("docker --unheard-of hunter2 ps", None),
    ],
)
def test_no_value_is_taken_for_a_name(line: str, named: str | None) -> None:
    found = read(line)
    assert (found.named if found else None) == named
    assert found is None or "hunter2" not in shown(found)


def test_two_daemons_are_two_places() -> None:
    assert told(
        "docker -H ssh://prod run --name web i",
        "docker -H ssh://stage run --name web i",
        "ssh -p 1 db2 x",
        "ssh -p 2 db2 x",
        "ssh -p 2 db2 y",
    ) == ["docker run web -H ssh://prod", "docker run web -H ssh://stage", "db2", "db2"]


@pytest.mark.parametrize("program", sorted(CLIENTS))
def test_without_arguments_only_the_program_is_named(program: str) -> None:
    """A report has the name of the process alone."""
    found = of_command(program)
    assert found is not None
    assert found.what == program


def test_what_was_cut_off_is_not_guessed() -> None:
    """A command line has 240 characters in a report."""
    assert told("ssh " + "-v " * 77 + "db2.exam") == ["ssh"]
    assert told("docker run -v " + "/x" * 120 + " image") == ["docker"]
    assert told("docker ps --filter " + "x" * 240) == []
    found = of_command("docker --context prod run -v " + "/x" * 120 + " image")
    assert found is not None
    assert not found.look
    assert told(("ssh db2 " + "x " * 240)[:240]) == ["db2"]


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("/usr/bin/ssh -tt db2 sleep 9", "db2"),
        ("docker run --name web image", "docker run web"),
        ("docker ps", None),
        ("[docker]", None),
        ("SCREEN -dmS work", None),
        ("/usr/bin/python3 /usr/bin/docker-compose up", "docker-compose up"),
        ("/usr/bin/python3 /usr/bin/docker-compose", "docker-compose"),
        ("/usr/bin/python3 /home/me/ssh db2", None),
        ("python3", None),
    ],
)
def test_the_command_line_of_a_report_is_read(command: str, what: str | None) -> None:
    found = of_command(command)
    assert (found.what if found else None) == what


WORDS = st.lists(
    st.text(max_size=12)
    | st.sampled_from(
        [
            *("run", "exec", "start", "compose", "up", "container", "enable", "--now", "--", "-"),
            *("-d", "-it", "-e", "--name", "--name=", "--cidfile", "-", "--unit", "--user", "-S"),
            *("host:path", "rsync://h/m", "-t", "-s", "new-session", "--wait", "--scope", "-u"),
        ]
    ),
    max_size=12,
)


@given(st.sampled_from(sorted(CLIENTS)), WORDS)
@example("docker", ["run", "--name"])
def test_no_command_line_is_too_odd(program: str, words: list[str]) -> None:
    """A process of the tree may have any words. A shell takes the look as its words."""
    told(program, " ".join([program, *words]), "\0".join([program, *words]))
    found = hand_off([program, *words])
    if found is not None:
        assert shlex.split(rewritten(found, str).look) == [*found.look]
        assert not any(word.startswith("-o") for word in found.look)


@given(
    st.sampled_from(
        [
            "docker run -e {} image",
            "docker run --env={} --name web image",
            "docker run image sh -c {}",
            "docker exec -e {} web env",
            "docker exec web mysql {}",
            "kubectl --token {} exec pod",
            "ssh -o ProxyCommand={} db2",
            "ssh db2 {}",
            "rsync --password-file {} /from db2:/to",
            "systemd-run -E {} --unit job run",
            "systemd-run --unit job run {}",
            "at -f {} now",
            "crontab {}",
            "tmux new-session -s work {}",
            "tmux send-keys -t work {}",
            "screen -S work -X stuff {}",
        ]
    ),
    st.text("abcdefgh0123456789=:/ -'\"\n", min_size=1).map(lambda text: f"s3cr3t{text}"),
)
def test_a_secret_among_the_words_is_not_named(form: str, secret: str) -> None:
    """It may be the value of any option, or a part of the command that is handed off."""
    found = read(form.format(shlex.quote(secret)))
    assert found is None or "s3cr3t" not in shown(found)
