# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hand-offs in the report of a host, which may print anything when it is asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import merge
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_off_report import (
    with_elsewhere,
)

from ..report_factories import make_hand_off, make_kill_report, make_process

CLIENT = "docker run --name web image"


class AnOrder:
    """An order whose host gives the answer to each script."""

    def __init__(self, answer: Callable[[str], str], text: str = "") -> None:
        self._answer = answer
        self.scripts: list[str] = []
        self.terms = SimpleNamespace(
            arguments=(("_raw_params", text),),
            options=SimpleNamespace(timeout=10.0, children_signal=15),
        )

    def output_of(self, script: str) -> str:
        """Return what the host prints."""
        self.scripts.append(script)
        mark = re.search(r"TREEKILL-CONTAINER-[0-9a-f]{16}", script)
        assert mark
        return self._answer(mark[0])


def states(order: AnOrder, command: str, *, payload: bool = True, **more: object) -> list[str]:
    """Return what is named after a process with this command line was ended, and its state."""
    root = make_process(6, command="sh", role="root")
    report = make_kill_report(gone=[root, make_process(7, ppid=6, command=command)], **more)
    found = with_elsewhere(order, report, payload).elsewhere  # type: ignore[arg-type]
    return [f"{one.state} {one.what}" for one in found]


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ("{mark} 0 stopped\r\n", ["stopped docker run web"]),
        ("a banner\n{mark} 0 ended\n", []),
        ("{mark} 0 left\n", ["left docker run web"]),
        ("{mark} 0 nonsense\n", ["left docker run web"]),
        ("{mark}", ["left docker run web"]),
        ("{mark} 1 stopped\n", ["left docker run web"]),
        ("TREEKILL-CONTAINER-0123456789abcdef 0 stopped\n", ["left docker run web"]),
        ("stopped", ["left docker run web"]),
        ("", ["left docker run web"]),
    ],
)
def test_only_the_answer_with_the_mark_counts(answer: str, named: list[str]) -> None:
    order = AnOrder(lambda mark: answer.format(mark=mark))
    assert states(order, CLIENT) == named
    assert len(order.scripts) == 1


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("docker run web", ("docker run web", "docker ps --filter name=web")),
        ("DOCKER_HOST=far docker run web", ("docker run web DOCKER_HOST", "")),
    ],
)
def test_no_other_daemon_is_to_be_looked_at(text: str, named: tuple[str, str]) -> None:
    """There the container would not be found, as if it had ended."""
    root = make_process(6, command="sh", role="root")
    report = make_kill_report(gone=[root, make_process(7, ppid=6, command=CLIENT)])
    order = AnOrder(lambda mark: "", text)
    (one,) = with_elsewhere(order, report, payload=True).elsewhere  # type: ignore[arg-type]
    assert (one.what, one.look.replace("\0", " ")) == named


def test_a_host_that_can_not_be_asked_leaves_the_container_named() -> None:
    def fail(mark: str) -> str:
        raise OSError(mark)

    assert states(AnOrder(fail), CLIENT) == ["left docker run web"]


@pytest.mark.parametrize(
    "command",
    [
        "docker run image",
        "docker run -d --name web image",
        "docker exec web sleep 9",
        "podman run --name web image",
        "docker run --cidfile /tmp/id image",
        "docker --config /mine run --name web image",
        "docker --host unix:///tmp/sock run --name web image",
        "docker --host ssh://host run --name web image",
        "ssh db2 sleep 9",
    ],
)
def test_a_host_is_not_asked_where_nothing_could_be_evidence(command: str) -> None:
    order = AnOrder(lambda mark: f"{mark} 0 stopped")
    assert [one.split()[0] for one in states(order, command)] == ["left"]
    assert order.scripts == []


def test_a_host_is_not_asked_about_a_client_of_another_user() -> None:
    """That user may have no right to the container, or may have written any command line."""
    order = AnOrder(lambda mark: f"{mark} 0 stopped")
    roots = [make_process(6, command="sh", role="root")]
    client = make_process(7, ppid=6, command=CLIENT, user="other")
    for gone in ([*roots, client], [client]):
        found = with_elsewhere(order, make_kill_report(gone=gone), True)  # type: ignore[arg-type]
        assert [one.state for one in found.elsewhere] == ["left"]
    assert order.scripts == []


def test_a_host_is_not_asked_while_the_tree_survives() -> None:
    """A client that is alive may still need its container."""
    order = AnOrder(lambda mark: f"{mark} 0 stopped")
    survivor = make_process(8, command="sleep 9", ended=None)
    assert states(order, CLIENT, survivors=[survivor]) == ["left docker run web"]
    assert order.scripts == []


@pytest.mark.parametrize(
    ("at_once", "by", "grace"),
    [(False, "TERM", "8"), (True, "TERM", "0"), (False, "KILL", "0")],
)
def test_a_container_has_the_rest_of_the_grace_period(at_once: bool, by: str, grace: str) -> None:
    """A second Ctrl-C skips it, also for the pass that began before that.

    The kill may have begun before this pass.
    """
    order = AnOrder(str)
    root = make_process(6, command="sh", role="root")
    client = make_process(7, ppid=6, command=CLIENT, ended=by)
    report = make_kill_report(gone=[root, client], seconds=2.5)
    with_elsewhere(order, report, True, at_once=at_once, since_began=4.5)  # type: ignore[arg-type]
    (script,) = order.scripts
    assert script.splitlines()[0].split()[2:5] == ["5", grace, "15"]


def test_a_host_is_not_asked_while_a_transaction_is_left_to_finish() -> None:
    order = AnOrder(lambda mark: f"{mark} 0 stopped")
    one = make_process(8, command="dpkg", ended=None)
    assert states(order, CLIENT, finishing=[one]) == ["left docker run web"]
    assert order.scripts == []


def test_a_text_names_what_was_not_seen() -> None:
    text = "docker run -d --name web image; docker run -d --name db image"
    order = AnOrder(str, text)
    assert states(order, "docker run -d --name web image") == [
        "left docker run web",
        "left docker run db",
    ]
    assert states(order, "sleep 9", payload=False) == []


def test_a_text_does_not_name_what_was_ended_with_the_tree() -> None:
    """The task has started the server itself. Only a server has children."""
    order = AnOrder(str, "tmux new-session -d -s work; sleep 9")
    server = make_process(8, command="tmux new-session -d -s work")
    gone = [server, make_process(9, ppid=8, command="-sh")]
    found = with_elsewhere(order, make_kill_report(gone=gone), True)  # type: ignore[arg-type]
    assert found.elsewhere == ()
    assert states(order, "sleep 9") == ["left tmux work"]


def test_a_detached_container_of_podman_was_ended_with_its_monitor() -> None:
    """One monitor is one container."""
    order = AnOrder(str, "podman run -d --name a image; podman run -d --name b image")
    monitors = [make_process(8, command="conmon -n a"), make_process(9, command="conmon -n b")]
    for gone, left in (
        (monitors, []),
        (monitors[:1], ["podman run b"]),
        ([], ["podman run a", "podman run b"]),
    ):
        found = with_elsewhere(order, make_kill_report(gone=gone), True)  # type: ignore[arg-type]
        assert [one.what for one in found.elsewhere] == left


def test_a_report_made_of_two_has_the_hand_offs_of_both():
    """After a second Ctrl-C a second courier is sent, which may find the clients gone."""
    left, unseen = make_hand_off(), make_hand_off(seen=False)
    stopped = make_hand_off(state="stopped")
    other = make_hand_off(what="b")
    for first, second, both in (
        ([left], [], [left]),
        ([], [left], [left]),
        ([left], [unseen, other], [left, other]),
        ([unseen], [left], [left]),
        ([left], [stopped], [stopped]),
        ([stopped], [left], [stopped]),
    ):
        merged = merge(make_kill_report(elsewhere=first), make_kill_report(elsewhere=second))
        assert [one.to_message() for one in merged.elsewhere] == both
