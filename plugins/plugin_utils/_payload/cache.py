# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs for the hosts, shared by all processes of a run.

Private to the collection treekill.remote.

They are taken early. So an update of the collection on the controller can't give half of a run
another program. The first run makes them, and later ones read them from a file.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import mmap
import os
import time
import zlib

from ansible_collections.treekill.remote.plugins.plugin_utils._payload.program_file import (
    ProgramFile,
)

#: The end of a kill pass's first part. A program that is handed over does all this again. The
#: interpreter is not shut down in order: that takes longer than the report, and nothing is left to
#: be written.
_START_KILL_PASS = r"""
import gc, os, sys
gc.enable()
main(sys.argv[1:], lambda: 'P=%r\nexec(P[0],globals())' % (P,))
os._exit(0)
"""

#: The end of a supervisor's first part. b: the other parts, as the bootstrap has them. First come
#: those that most runs need, as plain text, then the rest, compressed. The program that is handed
#: over is a kill pass.
_START_SUPERVISOR = r"""
P = []
from_list = load
def load(name):
 if name in PLAIN:
  loaded.add(name)
  start, end = PLAIN.pop(name)
  exec(b[start:end], globals())
 elif name not in loaded:
  if not P:
   import zlib
   P.extend(zlib.decompress(b[PACKED:]).decode().split('\0'))
  from_list(name)
def program():
 load('_kill_pass.main')
 return 'P=%r\nloaded=set()' % (P,) + LOAD + START_AGAIN
START_AGAIN = "\nload('_kill_pass.main')\nimport os,sys\nmain(sys.argv[1:],str)\nos._exit(0)"
import sys
supervise(sys.argv[1], sys.argv[2:], program)
"""

#: The end of a pulse's program.
_START_PULSE = "\nimport sys\nbe_pulse(*sys.argv[1:])\n"

#: Parts that no kill pass may need: the program that is handed over to sudo has only the rest.
_OFTEN = (
    "_supervisor.run_module",
    "_supervisor.watch",
    "_supervisor.exit",
    "_supervisor.ssh_session",
    "_supervisor.idle",
)

_LENGTH_BYTES = 8
#: Five times the present size of the programs.
_SHARED_BYTES = 256 * 1024

#: Seconds to wait for the process that makes the programs.
_PUBLISHED_SECONDS = 2.0
#: Seconds between two looks for them.
_LOOK_SECONDS = 0.005


@dataclasses.dataclass(frozen=True)
class Programs:
    """The programs for the hosts."""

    #: zlib in base64: the parts of the program, separated by NUL. See `ProgramTexts.parts`.
    kill_pass: str
    #: Base64: first `supervisor_start` bytes of source text, then the other parts.
    supervisor: str
    supervisor_start: int
    #: zlib in base64: the text of the program.
    pulse: str


class _Made:
    """The state of this process: the programs, once it has them, and the shared memory.

    It shares the memory with all processes that it was forked from, and that it forks.
    """

    programs: Programs | None = None
    shared: mmap.mmap | None = None


def share() -> None:
    """Let later forks of this process find the programs that one of them makes.

    The main process calls this before its first fork.
    """
    _Made.shared = mmap.mmap(-1, _SHARED_BYTES)


def prepare() -> None:
    """Start to read the programs, or to make them, which is about 150 ms of work.

    After that, this process and those that share its memory have them at hand. A separate process
    does it, so that the 3 MB for it are freed again, and no other process waits for the disk.

    Raises:
        OSError: there can be no other process.
    """
    if _Made.shared is None:
        share()
    pid = os.fork()
    if pid == 0:
        try:
            if os.fork() == 0:
                _read_or_make()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def _read_or_make() -> None:
    file = ProgramFile()
    kept = file.read()
    if kept is not None:
        _publish(kept)
        return
    made = _content(_assemble())
    _publish(made)
    file.write(made)


def programs() -> Programs:
    """Return the programs of this run."""
    until = time.monotonic() + _PUBLISHED_SECONDS
    while _Made.programs is None:
        # In the first moments of a run another process makes them. If they do not come, it has
        # died: then they are made here.
        _Made.programs = _published() if _Made.shared and time.monotonic() < until else _assemble()
        if _Made.programs is None:
            time.sleep(_LOOK_SECONDS)
    return _Made.programs


def _content(made: Programs) -> bytes:
    return json.dumps(dataclasses.asdict(made)).encode("ascii")


def _publish(content: bytes) -> None:
    if _Made.shared is not None and _LENGTH_BYTES + len(content) <= _SHARED_BYTES:
        _Made.shared[_LENGTH_BYTES : _LENGTH_BYTES + len(content)] = content
        # The length comes last: a process that sees it sees the rest.
        _Made.shared[:_LENGTH_BYTES] = len(content).to_bytes(_LENGTH_BYTES, "little")


def _published() -> Programs | None:
    if _Made.shared is None:
        return None
    length = int.from_bytes(_Made.shared[:_LENGTH_BYTES], "little")
    return (
        Programs(**json.loads(_Made.shared[_LENGTH_BYTES : _LENGTH_BYTES + length]))
        if length
        else None
    )


def _assemble() -> Programs:
    # ast stays out of the main process
    from ansible_collections.treekill.remote.plugins.plugin_utils._payload.bundler import (  # noqa: PLC0415
        LOAD,
        ProgramTexts,
    )

    texts = ProgramTexts(
        {
            "_kill_pass.main": "main",
            "_supervisor.start_supervisor": "supervise",
            "_supervisor.pulse": "be_pulse",
        }
    )
    first, *later = texts.parts("_kill_pass.main")
    kill_pass = zlib.compress(
        "\0".join([first + LOAD + _START_KILL_PASS, *later]).encode("utf-8"), 9
    )
    first, *later = texts.parts("_supervisor.start_supervisor", handed_over="_kill_pass.main")
    parts = dict(zip(later[::2], later[1::2], strict=True))
    plain, places = b"", {}
    for name in _OFTEN:
        text = parts.pop(name).encode("utf-8")
        places[name] = (len(plain), len(plain) + len(text))
        plain += text
    numbers = f"PLAIN = {places!r}\nPACKED = {len(plain)}"
    start = f"{first}\n{numbers}\nLOAD = {LOAD!r}{LOAD}{_START_SUPERVISOR}".encode()
    rest = zlib.compress(
        "\0".join(word for part in parts.items() for word in part).encode("utf-8"), 9
    )
    return Programs(
        base64.b64encode(kill_pass).decode(),
        base64.b64encode(start + plain + rest).decode(),
        len(start),
        base64.b64encode(
            zlib.compress((texts.parts("_supervisor.pulse")[0] + _START_PULSE).encode("utf-8"), 9)
        ).decode(),
    )
