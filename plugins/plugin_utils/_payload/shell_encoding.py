# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A shell's text in characters that no shell in between changes, however many read it.

Private to the collection treekill.remote.

`sudo -i` leaves `$` to one more login shell, and loses newlines. csh expands `!` within quotes, and
ends a quoted word at a newline. fish takes two backslashes within quotes for one. systemd expands
`$`. So such characters are sent as octal numbers, and `printf` of the last shell restores them.
"""

from __future__ import annotations

import re
import shlex

#: The characters that are sent as numbers. Braces are among them: bash expands them before it looks
#: at quotes within backquotes.
_CHANGED = re.compile(rb"[^ \"#&()*+,\-./0-9:;<=>?@A-Z\[\]^_a-z|~]")

#: Shorter forms that printf has.
_SHORTER = {b"\n": b"\\n", b"%": b"%%"}

#: Characters that single quotes alone do not protect in every login shell.
_NEEDS_IT = re.compile(r"[!\\\n\r]")

#: Bytes. One argument may have 128 KiB, including the quotes of other levels.
_MOST_ARGUMENT_BYTES = 96 * 1024


def carried(text: str, shell: str = "/bin/sh") -> str:
    """Return a command of a POSIX shell that becomes `shell` with `text` as its script.

    The process stays the same, and so does its command line. If the text would be too long for
    that, it is returned as it is.
    """
    numbers = octal(text)
    return becoming_shell(numbers, shell) if len(numbers) < _MOST_ARGUMENT_BYTES else text


def octal(text: str) -> str:
    """Return `text` as printf takes it."""
    return _CHANGED.sub(_as_number, text.encode("utf-8", "surrogateescape")).decode("ascii")


def becoming_shell(numbers: str, shell: str = "/bin/sh") -> str:
    """Return the command of `carried` for a text that `octal` has encoded."""
    return f"exec {shell} -c \"`printf '{numbers}'`\""


def quoted_for_any(text: str, shell: str = "/bin/sh") -> str:
    """Return `text` as one word of a command line for any login shell: the script of `shell`."""
    return shlex.quote(carried(text, shell) if _NEEDS_IT.search(text) else text)


def _as_number(found: re.Match[bytes]) -> bytes:
    return _SHORTER.get(found[0]) or b"\\%03o" % ord(found[0])
