# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line that runs a kill pass on a host.

Private to the collection treekill.remote.
"""

from __future__ import annotations

import functools
import shlex
import string
from collections.abc import Sequence

from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import KillRequest
from ansible_collections.treekill.remote.plugins.module_utils._lease.request_words import (
    request_words,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.cache import programs
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.shell_encoding import (
    becoming_shell,
    octal,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.shell_kill_pass import (
    shell_text,
)

#: The status of Python before 3.6. It exits before it reads anything that it does not understand.
_TOO_OLD_STATUS = 97

#: Characters that would be long in transit, and that the shell script has often.
_LONG = "$\\{}\n%!"

_BOOTSTRAP = (
    "import sys;sys.version_info<(3,6)and sys.exit({too_old})\n"
    "import zlib,binascii,gc\n"
    "gc.disable()\n"
    "P=zlib.decompress(binascii.a2b_base64('{text}')).decode().split('\\0')\n"
    "exec(P[0],globals())"
)


@functools.lru_cache(maxsize=64)
def _command_start(interpreters: tuple[str, ...]) -> tuple[str, str]:
    """Return the texts before and after the words: they are the same for all hosts."""
    tries = " ".join(shlex.quote(interpreter) for interpreter in interpreters)
    python = _BOOTSTRAP.format(too_old=_TOO_OLD_STATUS, text=programs().kill_pass)
    before = "set -- "
    after = (
        f"; k=1; for p in {tries or '/nonexistent'}; do"
        ' command -v "$p" >/dev/null 2>&1 || continue;'
        f' "$p" -I -S -c {shlex.quote(python)} "$@" </dev/null && k=0 && break; done;'
        f' [ "$k" = 0 ] || {{ k=$({_saying_shell_text()});'
        ' /bin/sh -c "$k" treekill "$k" "$@" </dev/null; }'
    )
    return octal(before), octal(after)


def _saying_shell_text() -> str:
    """Return the command that prints the shell script.

    In transit, letters that the script does not have stand for characters that would take two or
    four characters each.
    """
    text = shell_text()
    letters = [one for one in (*string.ascii_letters, "~") if one not in text][: len(_LONG)]
    changed = shlex.quote(text.translate(dict(zip(map(ord, _LONG), letters, strict=True))))
    numbers = "".join(f"\\{ord(char):03o}" for char in _LONG)
    return f"echo {changed} | tr {''.join(letters)} '{numbers}'"


def kill_command(request: KillRequest, interpreters: Sequence[str]) -> str:
    """Return one POSIX shell command line that runs the pass on a host.

    The interpreters are tried in this order. One that is missing, older than 3.6 or broken is
    skipped. The shell script comes last.

    The command line stays the same through any number of shells. From its first word on, signals
    are ignored.
    """
    before, after = _command_start(tuple(interpreters))
    words = octal(" ".join(shlex.quote(word) for word in request_words(request)))
    return 'trap "" 1 2 3 13 15 USR1; ' + becoming_shell(before + words + after)
