# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kill pass for a Linux host without Python: a shell script, as it is sent there.

Private to the collection treekill.remote.

The script gathers the same evidence and writes the same report as the Python program, but can do
less. It has no pidfd, so a few microseconds lie between the check of a process's start time and the
signal. A process that forks and exits faster than a shell can look (about 10 ms) escapes. Then the
report says that the end of the tree is not confirmed.
"""

from __future__ import annotations

import functools
import pathlib
import re

_SCRIPT = pathlib.Path(__file__).with_name("kill_pass.sh")

#: Spaces that no shell needs. The script has none of these words in a string.
_NEEDLESS = re.compile(r"(?<=;) (?=(?:do|then|done|fi|esac)\b)| (?=&&|\|\|)|(?<=&&|\|\|) ")


@functools.cache
def shell_text() -> str:
    """Return the script without comments, indentation, empty lines and needless spaces."""
    text = _NEEDLESS.sub("", _SCRIPT.read_text(encoding="ascii"))
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("#"))
