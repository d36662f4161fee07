# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls in a process of its own, which may have another uid, and may be killed for what it does."""

from __future__ import annotations

import contextlib
import os
import signal
import traceback
from collections.abc import Callable, Iterator

_WELL, _BADLY = b"+", b"-"


def apart(act: Callable[[], bytes | None], uid: int | None = None) -> bytes:
    """Return what `act` returns in a forked process, of that uid.

    Raises AssertionError if it raised, or if the process was killed.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _do(act, uid, writer)
    os.close(writer)
    with open(reader, "rb") as answer:
        heard = answer.read()
    dummy, status = os.waitpid(child, 0)
    assert heard.startswith(_WELL), (
        f"{heard[1:].decode(errors='replace') or 'no answer'}; exit status "
        f"{os.waitstatus_to_exitcode(status)}"
    )
    return heard[1:]


def _do(act: Callable[[], bytes | None], uid: int | None, writer: int) -> None:
    try:
        if uid is not None:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        answer = _WELL + (act() or b"")
    except BaseException:
        answer = _BADLY + traceback.format_exc().encode()
    os.write(writer, answer)
    os._exit(0)


@contextlib.contextmanager
def held_apart(prepare: Callable[[], object]) -> Iterator[None]:
    """Let another process hold what `prepare` returned, for a `with` block.

    It may be killed meanwhile.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        held = prepare()
        os.write(writer, _WELL if held else _BADLY)
        while True:
            signal.pause()
    os.close(writer)
    try:
        assert os.read(reader, 1) == _WELL, "it could not be prepared"
        yield
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
