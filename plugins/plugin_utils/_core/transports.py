# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of connections by what they call their transport: where their commands run, and through which shell.

This file is private to the collection treekill.remote.
"""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from ansible.plugins.connection import ConnectionBase

#: What connection and become plugins say when there was no session, or no way to become the user:
#: nothing was started that could be killed. A kill order would wait at the same prompt, or count as
#: one more wrong password. Any other failure may have come after the start.
_NEVER_STARTED = re.compile(
    r"\A(?:Failed to connect to the host via paramiko|"
    r"Invalid/incorrect password|(?:Incorrect|Missing) \S+ password|Timeout \(\d+s?\) waiting for privilege escalation prompt|"
    # Of core's plugins local and paramiko_ssh, which put the output of sudo behind it.
    r"(?:Timed out|Premature end of stream|Duplicate become password prompt encountered) waiting for become success|"
    r"(?:timeout waiting for|privilege output closed while waiting for|ssh timed out waiting for) (?:privilege escalation|password prompt)|"
    r"A password is required but none was supplied)"
)

#: What core puts before the client's words.
_BY_SSH = re.compile(
    r"\A(?:Failed to connect to the host via ssh|Data could not be sent to remote host .*? over ssh): "
)

_SSH_NEVER_STARTED = re.compile(
    r"ssh: connect to host |ssh: Could not resolve hostname |Host key verification failed|\S+: Permission denied \(|Permission denied \(|"
    r"(?:kex|ssh)_exchange_identification: |banner exchange: |Connection (?:to \S+ )?timed out during banner exchange"
)
#: What ssh says last when there was no session; and what may follow the former. All before that may
#: be words of the command itself, of a git for example.
_SSH_AFTERWARDS = re.compile(r"Connection (?:closed|reset) by \S+")

#: What core's plugins for ssh call their transport.
_SSH = ("ssh", "paramiko")

_HERE = ("local", "community.general.chroot")
_WORDS = ("containers.podman.podman",)
_PROXIES = ("ansible.netcommon.persistent",)


def is_ssh(connection: ConnectionBase) -> bool:
    """Whether an ssh server runs the command, by the user's login shell."""
    return connection.transport in _SSH


def runs_here(connection: ConnectionBase) -> bool:
    """Whether the command runs on this very machine, as a child of the worker: it is the tree itself, and no client stands between."""
    return connection.transport in _HERE


def splits_words(connection: ConnectionBase) -> bool:
    """Whether the plugin splits the command line by itself and executes the words: no shell sees them."""
    return connection.transport in _WORDS


def is_for_devices(connection: ConnectionBase) -> bool:
    """Whether a network device is at the other end: no POSIX shell, though the plugin has a shell plugin of family sh. Such connections are persistent."""
    return (
        bool(connection.force_persistence or connection.supports_persistence)
        or connection.transport in _PROXIES
    )


def has_ways_of_its_own(connection: ConnectionBase) -> bool:
    """Whether modules reach the host past `exec_command`: the connections of mitogen talk to an interpreter that stays there."""
    return any(
        one.__module__.partition(".")[0] == "ansible_mitogen" for one in type(connection).__mro__
    )


def had_no_session(error: BaseException | str) -> bool:
    """Whether what a connection raised, or its client said, tells that nothing was started on the host: no session, or no way to become the user."""
    text = str(error)
    return bool(_NEVER_STARTED.match(text)) or client_had_no_session(_BY_SSH.sub("", text))


def client_had_no_session(stderr: str) -> bool:
    """Whether a client of ssh says last that it had no session. The command may have written all that stands before."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if len(lines) > 1 and _SSH_AFTERWARDS.match(lines[-1]):
        lines.pop()
    return bool(lines and _SSH_NEVER_STARTED.match(lines[-1]))
