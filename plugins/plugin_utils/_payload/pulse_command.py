# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line that runs a pulse on a host, and the parser of what it prints.

Private to the collection treekill.remote.
"""

from __future__ import annotations

import shlex
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._payload.cache import programs
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.shell_encoding import carried

if t.TYPE_CHECKING:
    from collections.abc import Sequence

#: Python before 3.6 ends at the first line, and prints what a missing Python prints.
_BOOTSTRAP = (
    "import sys;sys.version_info<(3,6)and sys.exit({too_old})\n"
    "import zlib,binascii\n"
    "exec(zlib.decompress(binascii.a2b_base64('{text}')).decode(),globals())"
)

_TOO_OLD_STATUS = 97

#: Characters of an unfinished line. A pulse prints some dozens.
_MOST_LINE_CHARACTERS = 4096


def pulse_command(run: str, nonce: str, interpreters: Sequence[str]) -> str:
    """Return one POSIX shell command line that runs the pulse of a run.

    The interpreters are tried in this order. The shell that tries them ends with the pulse.
    """
    tries = " ".join(shlex.quote(interpreter) for interpreter in interpreters)
    python = shlex.quote(_BOOTSTRAP.format(too_old=_TOO_OLD_STATUS, text=programs().pulse).strip())
    new = shlex.quote("import sys;sys.exit(sys.version_info<(3,6))")
    return carried(
        f"for p in {tries or '/nonexistent'}; do"
        f' command -v "$p" >/dev/null 2>&1 && "$p" -I -S -c {new} </dev/null 2>/dev/null &&'
        f' exec "$p" -I -S -c {python} {run} {nonce};'
        f" done; echo {nonce} failed there is no Python 3.6"
    )


class PulseOutput:
    """Reader of what a pulse prints, among banners and the output of a terminal."""

    def __init__(self, nonce: str) -> None:
        self._nonce = f"{nonce} "
        self._rest = ""

    def lines(self, chunk: bytes) -> list[tuple[str, str]]:
        """Return the first word and the rest of each complete line that comes from the pulse."""
        *lines, self._rest = (self._rest + chunk.decode("utf-8", "replace")).split("\n")
        self._rest = self._rest[-_MOST_LINE_CHARACTERS:]
        found = []
        for line in lines:
            dummy, mark, text = line[-_MOST_LINE_CHARACTERS:].partition(self._nonce)
            if mark:
                word, dummy, rest = text.strip().partition(" ")
                found.append((word, rest))
        return found
