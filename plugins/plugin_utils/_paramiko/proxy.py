# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proxy command of a paramiko connection: found in the options, started, and ended with it.

The program has one end of a socket pair, and paramiko the other. paramiko's own ProxyCommand reads
from a pipe. It spins until its timeout when the program has ended. It blocks the program when that
writes more messages than a pipe holds.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import socket
import subprocess
import tempfile
import typing as t

_OPTION = re.compile(r"\s*proxycommand(?:\s*=\s*|\s+)(.*)", re.IGNORECASE | re.DOTALL)

#: Seconds in which a proxy that has lost its connection may end by itself. Then it is killed.
_END_SECONDS = 1.0


def proxy_command(own: str, *ssh_arguments: str) -> str:
    """Return the command that the options name.

    The plugin's own option comes first, then the first ProxyCommand among arguments for ssh.

    Args:
        own: the option proxy_command.
        ssh_arguments: command-line arguments of ssh, each option's as one string.
    """
    if own:
        return _wanted(own)
    for arguments in ssh_arguments:
        words = shlex.split(arguments or "")
        for word, following in itertools.zip_longest(words, words[1:], fillvalue=""):
            option = following if word == "-o" else word.removeprefix("-o")
            found = _OPTION.fullmatch(option) if word.startswith("-o") else None
            if found:
                return _wanted(found[1])
    return ""


def _wanted(command: str) -> str:
    return "" if command.strip().lower() == "none" else command.strip()


def filled_in(command: str, host: str, port: int, user: str) -> list[str]:
    """Return the words of the command, with %h, %p, %r and %% replaced as OpenSSH does."""
    values = {"%h": host, "%p": str(port), "%r": user, "%%": "%"}
    return [
        re.sub(r"%[hpr%]", lambda found: values[found[0]], word) for word in shlex.split(command)
    ]


class Proxy:
    """A running proxy command. `socket` is the connection to the host through it."""

    def __init__(self, words: t.Sequence[str]) -> None:
        self.socket, theirs = socket.socketpair()
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the proxy
        try:
            self._process = subprocess.Popen(
                words, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=self._messages
            )
        except OSError:
            self.socket.close()
            self._messages.close()
            raise
        finally:
            theirs.close()

    @property
    def stderr_tail(self) -> str:
        """The last 1000 bytes of its standard error, as text."""
        size = self._messages.seek(0, os.SEEK_END)
        self._messages.seek(max(0, size - 1000))
        return self._messages.read().decode("utf-8", "replace").strip()

    def close(self) -> None:
        """End the proxy. It should end when its socket is closed; otherwise it is killed."""
        self.socket.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._messages.close()
