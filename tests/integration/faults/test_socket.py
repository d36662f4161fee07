# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Garbage, half messages and strangers on the guardian's socket are refused.

The guardian lives on and serves.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.hosts import Host, Lab

from .apart import apart, held_apart
from .guardian import Caller, frame, take
from .scene import PLAY, Scene, in_flight

#: The uid of a user that is neither the user of the run nor an account of the hosts.
STRANGER = 64999


class _Shared:
    """One run for all tests that leave it as it was. If one did not, the next gets another."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._stack = ExitStack()
        self._scene: Scene | None = None

    def scene(self) -> Scene:
        if self._scene is None or not self._scene.is_served():
            self.close()
            self._lab["web1"].reset()
            self._scene = self._stack.enter_context(in_flight(self._lab, self._lab["web1"]))
        return self._scene

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def _shared(shared_lab: Lab) -> Iterator[_Shared]:
    shared = _Shared(shared_lab)
    yield shared
    shared.close()


@pytest.fixture
def scene(_shared: _Shared) -> Scene:
    """A run in flight on one host. What ends its run belongs on the other host."""
    return _shared.scene()


@pytest.fixture
def other_host(shared_lab: Lab) -> Host:
    """A clean host that no run is on."""
    shared_lab["web2"].reset()
    return shared_lab["web2"]


# Garbage.

Thrower = Callable[[Scene], None]


def bytes_of(*contents: bytes) -> Thrower:
    """Send each on a connection of its own.

    Then close this direction, and listen until the guardian has hung up.
    """

    def throw(scene: Scene) -> None:
        for content in contents:
            with Caller(scene.socket) as caller:
                caller.send(content)
                caller.say_no_more()
                while caller.hears():
                    pass

    return throw


def refused(*messages: object) -> Thrower:
    """Send frames, each of which makes the guardian hang up.

    This end listens meanwhile and sends no more.
    """

    def throw(scene: Scene) -> None:
        for message in messages:
            with Caller(scene.socket) as caller:
                caller.send(frame(message))
                assert caller.hears() == b"", f"{message} was answered"

    return throw


def of_the_lease_in_flight(op: str, **more: Any) -> Thrower:
    """Return a message about the lease that the run's own worker holds.

    It has all that it takes and no more.
    """
    return lambda scene: refused(
        take(scene.lease) if op == "take" else {"op": op, "lease": scene.lease, **more}
    )(scene)


def a_thousand_connections(scene: Scene) -> None:
    """Open them one after the other, and send nothing."""
    for dummy in range(1000):
        Caller(scene.socket).close()


def broken_leases_that_can_not_be_carried_out(scene: Scene) -> None:
    """They are granted, then left without a message, with orders that make no sense."""
    texts = (("{}", "{}"), ("", ""), ("[]", "{}"), ("1", "{}"), ("\0", "{}"), ("{}", "[]"))
    for number, (order, reach) in enumerate(texts):
        with Caller(scene.socket) as caller:
            caller.send(frame({**take(f"{number:08x}"), "order": order, "reach": reach}))
            assert b'"granted": true' in caller.hears()


_random = random.Random(1)

#: Messages that are JSON, and that no worker sends.
SHAPES: list[object] = [
    [],
    "take",
    0,
    None,
    {},
    {"op": None},
    {"op": "no such"},
    {"op": []},
    {"op": {}},
    {"op": "take"},
    {"op": "take", "lease": []},
    {"op": "done"},
    {"op": "done", "lease": {}},
    {"op": "broken"},
    {"op": "detach", "lease": None},
    {**take("22222222"), "lease": []},
    {**take("22222222"), "terms": None},
    {**take("22222222"), "terms": []},
    {**take("22222222"), "terms": "x"},
]

#: A lease whose terms lack what the guardian needs as soon as the lease breaks, or have it in
#: another type.
TERMS: list[object] = [
    {**take("33333333"), "terms": terms}
    for terms in (
        {},
        {"retry_for": "soon", "timeout": [], "run": 1, "local": 0, "keep": 0, "end_async": 0},
    )
]

GARBAGE: Mapping[str, Thrower] = {
    "random bytes": bytes_of(
        *(_random.randbytes(_random.randrange(1, 5000)) for dummy in range(50))
    ),
    "a huge length": bytes_of(
        struct.pack("!I", 0xFFFFFFFF), struct.pack("!I", 0x7FFFFFFF) + b"x" * 100000
    ),
    "frames cut in half": bytes_of(*(frame(take("44444444"))[:end] for end in range(1, 200, 9))),
    "a frame of nothing": bytes_of(struct.pack("!I", 0) * 10),
    "a frame that is not JSON": bytes_of(
        struct.pack("!I", 5) + b"{'a':", struct.pack("!I", 2) + b"\xff\xfe"
    ),
    "JSON as deep as a frame": bytes_of(struct.pack("!I", 100000) + b"[" * 100000),
    "JSON of the wrong shape": bytes_of(*map(frame, SHAPES)),
    "a report to a process that is not the main process": refused(
        {"op": "report"}, {"op": "report", "wait": False}, {"op": "report", "wait": True}
    ),
    "signals of a process that is not the main process": bytes_of(
        frame({"op": "signals"}) + b"\x02"
    ),
    "terms of the wrong shape": bytes_of(*map(frame, TERMS)),
    "done for another process's lease": of_the_lease_in_flight("done"),
    "broken for another process's lease": of_the_lease_in_flight("broken", lost=False, wait=False),
    "detach for another process's lease": of_the_lease_in_flight("detach"),
    "a lease that is granted already": of_the_lease_in_flight("take"),
    "broken leases that can not be carried out": broken_leases_that_can_not_be_carried_out,
    "a thousand connections": a_thousand_connections,
}


@pytest.mark.parametrize("throw", GARBAGE.values(), ids=GARBAGE)
def test_the_guardian_survives_garbage_and_goes_on_to_serve(scene: Scene, throw: Thrower) -> None:
    apart(lambda: throw(scene))
    assert scene.is_served()


def test_an_interruption_ends_everything_after_all_the_garbage(
    shared_lab: Lab, other_host: Host
) -> None:
    with in_flight(shared_lab, other_host) as scene:
        for throw in GARBAGE.values():
            apart(partial(throw, scene))
        scene.interrupt_and_see_all_end()


def test_an_interruption_ends_everything_while_there_are_more_connections_than_descriptors(
    shared_lab: Lab, other_host: Host
) -> None:
    """A user has a soft limit of some hundred. A run may have as many workers."""
    play = replace(PLAY, before=["prlimit", "--nofile=64:4096", "--"])
    with (
        in_flight(shared_lab, other_host, play) as scene,
        held_apart(lambda: [Caller(scene.socket) for dummy in range(100)]),
    ):
        scene.interrupt_and_see_all_end()


# Strangers.


def ask(path: Path) -> bytes:
    """Ask for a lease, and return what came back, or which error there was."""
    try:
        with Caller(path) as caller:
            caller.send(frame(take("0badcafe")) + frame({"op": "done", "lease": "0badcafe"}))
            return caller.hears()
    except OSError as error:
        return type(error).__name__.encode()


def test_another_user_can_not_reach_the_socket(scene: Scene) -> None:
    for above in (scene.run.directory, scene.run.directory / "tmp"):
        above.chmod(0o755)
    assert apart(lambda: ask(scene.socket), STRANGER) == b"PermissionError"
    # The control.
    assert b'"granted": true' in apart(lambda: ask(scene.socket))


def test_another_user_is_refused_where_the_socket_was_opened_to_all(
    shared_lab: Lab, other_host: Host
) -> None:
    with in_flight(shared_lab, other_host) as scene:
        for above in (scene.run.directory, scene.run.directory / "tmp", scene.socket.parent):
            above.chmod(0o755)
        scene.socket.chmod(0o666)
        assert apart(lambda: ask(scene.socket), STRANGER) == b""
        # The control.
        assert b'"granted": true' in apart(lambda: ask(scene.socket))
        scene.interrupt_and_see_all_end()
