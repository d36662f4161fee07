# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts about connections, most of them by the name that a plugin calls its transport.

They are: where commands run, whether a shell reads them, and which errors mean that nothing
started.
"""

from __future__ import annotations

import contextlib
import re
import socket
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

#: paramiko always has a port, and ssh has one only if it was set.
_SSH_PORT = "22"

#: The transports of core's plugins for ssh.
_SSH = ("ssh", "paramiko")

#: A process that lxc attaches to a container is a child of the worker as well.
_HERE = ("local", "community.general.chroot", "community.general.lxc")
_WORDS = ("containers.podman.podman",)
#: The connections to engines of containers. A plugin has the same name as its transport.
ENGINES = ("community.docker.docker", "community.docker.docker_api", "containers.podman.podman")
#: Transports to engines that may be on another machine. Their clients log in there.
_FAR_ENGINES = ("community.general.lxd", "incus", "kubectl", "oc")
#: Further transports whose host closes the channel when the controller is gone.
_CLOSES_CHANNEL = ("ansible.netcommon.libssh",)
#: Core's plugins of which others are made. What they start ends as that of these.
_OF_CORE = ("ansible.plugins.connection.ssh", "ansible.plugins.connection.local")
_PROXIES = ("ansible.netcommon.persistent",)


def plugin_name(plugin: t.Any) -> str:
    """Return the name by which the plugin's loader finds it.

    A plugin of a collection knows only the name of its Python module.
    """
    name = str(plugin._load_name)
    if not name.startswith("ansible_collections."):
        return name
    dummy, namespace, collection, dummy, dummy, *rest = name.split(".")
    return ".".join((namespace, collection, *rest))


def is_ssh(connection: ConnectionBase) -> bool:
    """Whether an ssh server runs the command, by the user's login shell."""
    return connection.transport in _SSH


def has_engine(connection: ConnectionBase) -> bool:
    """Whether the engine of a container runs the command.

    It keeps the output of the command open when the client has ended.
    """
    return connection.transport in (*ENGINES, *_FAR_ENGINES)


def passes_window_on(connection: ConnectionBase) -> bool:
    """Whether the client may tell the host a new size of its terminal, while the command runs."""
    return connection.transport == "ssh"


def shows_its_end(connection: ConnectionBase) -> bool:
    """Whether the host is known to see the end of the controller, by the channel or by a pulse.

    Of other plugins, nothing is known: their engine or server may run a command to its end.
    """
    return (
        is_ssh(connection)
        or runs_here(connection)
        or has_engine(connection)
        or connection.transport in _CLOSES_CHANNEL
        or any(one.__module__ in _OF_CORE for one in type(connection).__mro__)
    )


def runs_here(connection: ConnectionBase) -> bool:
    """Whether the command runs on this very machine, as a child of the worker.

    It is then the tree itself, without a client in between.
    """
    return connection.transport in _HERE


def address_of(connection: ConnectionBase) -> str:
    """Return what the connection connects to, to tell it from another host of the same name.

    It is the host over ssh, with the port if another one than 22 is set: C(10.0.0.1:2222). For
    other connections, the name of the plugin comes before it. A local connection is at this
    machine, by its name.
    """
    if connection.transport == "local":
        return f"local:{socket.gethostname()}"
    host = str(
        _option(connection, "host")
        or _option(connection, "remote_addr")
        or connection._play_context.remote_addr
        or ""
    )
    if not is_ssh(connection):
        return f"{connection.transport}:{host}"
    port = _option(connection, "port")
    if str(port or _SSH_PORT) == _SSH_PORT:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _option(connection: ConnectionBase, name: str) -> object:
    """Return an option of the plugin; None if it has no such option."""
    with contextlib.suppress(KeyError):
        return t.cast("object", connection.get_option(name))
    return None


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


def is_of_mitogen(connection: ConnectionBase) -> bool:
    """Whether the connection is one of mitogen.

    Its modules reach the host without `exec_command`: an interpreter stays there.
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
