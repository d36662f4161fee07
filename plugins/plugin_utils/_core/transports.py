# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts about connections, most of them by the name that a plugin calls its transport.

They are: where commands run, whether a shell reads them, and which errors mean that nothing
started.
"""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from ansible.plugins.connection import ConnectionBase

#: Errors of connection and become plugins that had no session, or no way to become the user.
#:
#: Nothing was started that could be killed. A kill order would wait at the same prompt, or count as
#: one more wrong password. Any other failure may have come after the start.
_NEVER_STARTED = re.compile(
    r"\A(?:Failed to connect to the host via paramiko|"
    r"Invalid/incorrect password|(?:Incorrect|Missing) \S+ password|"
    r"Timeout \(\d+s?\) waiting for privilege escalation prompt|"
    # From core's plugins local and paramiko_ssh, which append the output of sudo.
    r"(?:Timed out|Premature end of stream|Duplicate become password prompt encountered)"
    r" waiting for become success|"
    r"(?:timeout waiting for|privilege output closed while waiting for|ssh timed out waiting for)"
    r" (?:privilege escalation|password prompt)|"
    r"A password is required but none was supplied)"
)

#: What core puts before the client's own message.
_BY_SSH = re.compile(
    r"\A(?:Failed to connect to the host via ssh|"
    r"Data could not be sent to remote host .*? over ssh): "
)

#: The last line of ssh's output when there was no session. Earlier lines may come from the command
#: itself, for example from git.
_SSH_NEVER_STARTED = re.compile(
    r"ssh: connect to host |ssh: Could not resolve hostname |Host key verification failed|"
    r"\S+: Permission denied \(|Permission denied \(|"
    r"(?:kex|ssh)_exchange_identification: |banner exchange: |"
    r"Connection (?:to \S+ )?timed out during banner exchange"
)

#: The line that may follow `_SSH_NEVER_STARTED`.
_SSH_AFTERWARDS = re.compile(r"Connection (?:closed|reset) by \S+")

#: The transports of core's plugins for ssh.
_SSH = ("ssh", "paramiko")

_HERE = ("local", "community.general.chroot")
_WORDS = ("containers.podman.podman",)
_PROXIES = ("ansible.netcommon.persistent",)


def is_ssh(connection: ConnectionBase) -> bool:
    """Whether an ssh server runs the command, by the user's login shell."""
    return connection.transport in _SSH


def runs_here(connection: ConnectionBase) -> bool:
    """Whether the command runs on this very machine, as a child of the worker.

    It is then the tree itself, without a client in between.
    """
    return connection.transport in _HERE


def splits_words(connection: ConnectionBase) -> bool:
    """Whether the plugin splits the command line itself and executes the words without a shell."""
    return connection.transport in _WORDS


def is_for_devices(connection: ConnectionBase) -> bool:
    """Whether the other end is a network device without a POSIX shell.

    Such connections are persistent. Their plugin may have a shell plugin of family sh nevertheless.
    """
    return (
        bool(connection.force_persistence or connection.supports_persistence)
        or connection.transport in _PROXIES
    )


def has_ways_of_its_own(connection: ConnectionBase) -> bool:
    """Whether modules reach the host without `exec_command`.

    The connections of mitogen talk to an interpreter that stays on the host.
    """
    return any(
        one.__module__.partition(".")[0] == "ansible_mitogen" for one in type(connection).__mro__
    )


def had_no_session(error: BaseException | str) -> bool:
    """Whether an error of a connection, or its client's message, shows that nothing started.

    There was then no session, or no way to become the user.
    """
    text = str(error)
    return bool(_NEVER_STARTED.match(text)) or client_had_no_session(_BY_SSH.sub("", text))


def client_had_no_session(stderr: str) -> bool:
    """Whether the last message of an ssh client is that it had no session.

    The command may have written everything before it.
    """
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if len(lines) > 1 and _SSH_AFTERWARDS.match(lines[-1]):
        lines.pop()
    return bool(lines and _SSH_NEVER_STARTED.match(lines[-1]))
