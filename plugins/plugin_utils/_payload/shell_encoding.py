# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A shell's text in characters that no shell on its way changes, however many of them read it.

This file is private to the collection treekill.remote.

C(sudo -i) leaves C($) to one more login shell and loses newlines. csh expands C(!) within quotes, and ends a quoted word at a newline. fish takes two
backslashes within quotes for one. systemd expands C($). So such characters travel as octal numbers, for C(printf) of the last shell to make them again.
"""

from __future__ import annotations

import re
import shlex

#: Everything else goes as a number. Braces do, since bash expands them before it looks at quotes
#: within backquotes.
_CHANGED = re.compile(rb"[^ \"#&()*+,\-./0-9:;<=>?@A-Z\[\]^_a-z|~]")

#: What printf has another word for.
_SHORTER = {b"\n": b"\\n", b"%": b"%%"}

#: What single quotes alone do not keep in every login shell.
_NEEDS_IT = re.compile(r"[!\\\n\r]")

#: Bytes. One argument may have 128 KiB, the quotes of other levels included.
_MOST_ARGUMENT_BYTES = 96 * 1024


def carried(text: str, shell: str = "/bin/sh") -> str:
    """A command of a POSIX shell that becomes `shell` with `text` as its script: the process stays, and its command line is what it would be without.

    A text that would be too long for that is left as it is.
    """
    numbers = octal(text)
    return becoming_shell(numbers, shell) if len(numbers) < _MOST_ARGUMENT_BYTES else text


def octal(text: str) -> str:
    """`text` as printf takes it."""
    return _CHANGED.sub(_as_number, text.encode("utf-8", "surrogateescape")).decode("ascii")


def becoming_shell(numbers: str, shell: str = "/bin/sh") -> str:
    """The command of `carried` for what `octal` has made of a text."""
    return f"exec {shell} -c \"`printf '{numbers}'`\""


def quoted_for_any(text: str, shell: str = "/bin/sh") -> str:
    """`text` as one word of a command line that any login shell may read, to be the script of `shell`."""
    return shlex.quote(carried(text, shell) if _NEEDS_IT.search(text) else text)


def _as_number(found: re.Match[bytes]) -> bytes:
    return _SHORTER.get(found[0]) or b"\\%03o" % ord(found[0])
