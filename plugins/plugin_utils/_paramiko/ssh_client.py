# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A paramiko connection to one host, for any number of commands and files."""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import logging
import os
import typing as t

from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure
from ansible_collections.treekill.remote.plugins.plugin_utils._paramiko.become_prompt import (
    Escalation,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._paramiko.host_keys import (
    HostKeyRefused,
    HostKeys,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._paramiko.library import paramiko
from ansible_collections.treekill.remote.plugins.plugin_utils._paramiko.proxy import (
    Proxy,
    filled_in,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._paramiko.remote_command import (
    Command,
)

if t.TYPE_CHECKING:
    from ansible.plugins.become import BecomeBase
    from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.held_client import (
        HeldClient,
    )

#: Errors of paramiko for a key file that it can't use.
_WRONG_KEY = ("Invalid key", "OpenSSH private key file checkints do not match")

#: The beginning of every error before which nothing can have started on the host.
NOTHING_STARTED = "Failed to connect to the host via paramiko"

#: Seconds of silence after which a message keeps the connection open, through firewalls that drop
#: idle ones.
_KEEPALIVE_SECONDS = 5

#: Seconds for become beyond the option `timeout`, as in ansible-core's ssh plugin.
_BECOME_EXTRA_SECONDS = 2

# Without a handler, Python writes paramiko's errors with tracebacks to standard error, besides the
# error that is raised.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclasses.dataclass(frozen=True)
class Destination:
    """The address, the user and the credentials of a connection."""

    host: str
    port: int
    user: str | None
    password: str | None = dataclasses.field(repr=False)
    private_key_file: str | None
    look_for_keys: bool
    rsa_sha2: bool
    proxy_command: str
    #: Seconds for the network connection, and again for the login.
    timeout: float
    #: Seconds until the server's banner.
    banner_timeout: float


class Client:
    """One connection, for one thread of one process."""

    def __init__(self, destination: Destination, host_keys: HostKeys) -> None:
        self._destination = destination
        self._host_keys = host_keys
        self._client: paramiko.SSHClient | None = None
        self._proxy: Proxy | None = None
        self._files: paramiko.SFTPClient | None = None
        self._given_up: list[Command] = []

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """The errors that paramiko may raise when it is connected."""
        return paramiko.SSHException, OSError, EOFError

    @property
    def alive(self) -> bool:
        """Whether it is connected, as far as this side knows."""
        transport = self._client.get_transport() if self._client is not None else None
        return transport is not None and transport.is_active()

    def connect(self) -> None:
        """Connect and log in. An earlier connection is closed first.

        Raises:
            AnsibleAuthenticationFailure: the host is there, and refuses the login.
            AnsibleConnectionFailure: the host can't be reached, or shows another key than the known
                one.
        """
        self.close()
        try:
            self._connect()
        except BaseException as error:
            stderr_tail = self._proxy.stderr_tail if self._proxy is not None else ""
            self.close()
            if isinstance(error, Exception):
                raise self._failure(error, stderr_tail) from error
            raise

    def _connect(self) -> None:
        to = self._destination
        self._client = client = paramiko.SSHClient()
        self._host_keys.load_into(client)
        client.set_missing_host_key_policy(t.cast("t.Any", self._host_keys))
        if to.proxy_command:
            self._proxy = Proxy(
                filled_in(to.proxy_command, to.host, to.port, to.user or getpass.getuser())
            )
        client.connect(
            # Host names are case-insensitive, known_hosts is not.
            to.host.lower(),
            port=to.port,
            username=to.user,
            password=to.password,
            key_filename=os.path.expanduser(to.private_key_file) if to.private_key_file else None,
            # With a password, the keys of the agent are not tried: the server might refuse the
            # login for too many keys.
            allow_agent=to.password is None,
            look_for_keys=to.look_for_keys,
            timeout=to.timeout,
            auth_timeout=to.timeout,
            banner_timeout=to.banner_timeout,
            sock=t.cast("t.Any", self._proxy.socket if self._proxy is not None else None),
            disabled_algorithms={} if to.rsa_sha2 else _rsa_sha2_algorithms(),
        )
        t.cast(paramiko.Transport, client.get_transport()).set_keepalive(_KEEPALIVE_SECONDS)

    def _failure(self, error: Exception, proxy_stderr: str) -> AnsibleConnectionFailure:
        to, reason = self._destination, _text(error)
        text = f"{NOTHING_STARTED}, {to.host} port {to.port}: "
        if isinstance(error, paramiko.BadHostKeyException):
            return AnsibleConnectionFailure(
                f"{text}host key mismatch for {error.hostname}:"
                " the host shows another key than the known one."
            )
        if isinstance(error, HostKeyRefused):
            return AnsibleConnectionFailure(text + reason)
        if isinstance(error, paramiko.PasswordRequiredException):
            return AnsibleAuthenticationFailure(
                f"{text}{reason}. The option password is its passphrase as well."
            )
        if (
            isinstance(error, paramiko.AuthenticationException)
            or "authentication methods" in reason
        ):
            return AnsibleAuthenticationFailure(
                f"{text}Failed to authenticate as {to.user or getpass.getuser()}: {reason}"
            )
        if to.private_key_file and reason in _WRONG_KEY:
            reason += (
                f": {to.private_key_file} needs another passphrase than the option password,"
                " or holds no key that both this paramiko and the host accept"
            )
            return AnsibleAuthenticationFailure(text + reason)
        if proxy_stderr:
            reason += f" (the proxy command said: {proxy_stderr})"
        return AnsibleConnectionFailure(text + reason)

    def execute(
        self,
        cmd: str,
        in_data: bytes | None,
        terminal: str,
        become: BecomeBase | None,
        before: t.Callable[[], object] = lambda: None,
        *,
        held: HeldClient | None = None,
    ) -> tuple[int, bytes, bytes]:
        """Run a command to its end and return (status, stdout, stderr).

        Status -1: a signal has ended it.

        Args:
            cmd: for the user's login shell.
            in_data: for its standard input, which then is no terminal.
            terminal: the type of the terminal that it gets; empty for none.
            become: the plugin that the command may have been built with.
            before: called when the session is open, just before the command is sent.
            held: holds the input of a pulse open.

        Raises:
            AnsibleConnectionFailure: no session was opened for it, or the connection was lost
                meanwhile.
            AnsibleError: become did not succeed.
            Any error of `before`: then nothing was sent.
        """
        while self._given_up:
            # The kill orders for their trees have ended by now.
            self._given_up.pop().close()
        channel = self._open_session(terminal)
        before()
        self._send(channel, cmd)
        command = Command(
            channel,
            Escalation(become, cmd),
            _password(become),
            _BECOME_EXTRA_SECONDS + self._destination.timeout,
        )
        try:
            status, stdout, stderr = command.run(in_data, bool(terminal), held)
        except BaseException:
            # The task's timeout, or a signal. The kill order comes first: the end of the channel
            # would scatter the tree.
            self._given_up.append(command)
            raise
        lost = status < 0 and self._lost(channel)
        command.close()
        if lost:
            raise AnsibleConnectionFailure(
                f"The connection to {self._destination.host} via paramiko"
                " was lost while a command was running."
            )
        return status, stdout, stderr

    def _open_session(self, terminal: str) -> paramiko.Channel:
        """Return a new channel for one command, with a terminal if `terminal` names its type.

        Raises:
            AnsibleConnectionFailure: the connection is lost, or the host accepts no more channels.
                Nothing was started on it.
        """
        to = self._destination
        try:
            channel = self._transport().open_session(timeout=to.timeout)
            if terminal:
                channel.get_pty(term=terminal)
        except self.errors as error:
            raise AnsibleConnectionFailure(
                f"{NOTHING_STARTED}, {to.host} port {to.port}:"
                f" no session was opened: {_text(error)}"
            ) from error
        return channel

    def _send(self, channel: paramiko.Channel, cmd: str) -> None:
        """Have the command executed.

        Raises:
            AnsibleConnectionFailure: it is unknown whether the command runs.
        """
        try:
            channel.exec_command(t.cast(str, cmd.encode("utf-8", "surrogateescape")))
        except self.errors as error:
            to = self._destination
            raise AnsibleConnectionFailure(
                f"{to.host} port {to.port} did not accept a command via paramiko: {_text(error)}"
            ) from error

    def _lost(self, channel: paramiko.Channel) -> bool:
        """Whether a channel without a status has ended because the connection was lost.

        Otherwise the host sends the end of the output first.
        """
        transport = channel.get_transport()
        return not (
            channel.eof_received and transport.is_active() and transport.saved_exception is None
        )

    def _transport(self) -> paramiko.Transport:
        transport = self._client.get_transport() if self._client is not None else None
        if transport is None:
            raise EOFError("not connected")
        return transport

    @contextlib.contextmanager
    def files(self) -> t.Iterator[paramiko.SFTPClient]:
        """Yield the file transfer of this connection. The first use opens it.

        Raises:
            paramiko.SSHException, OSError, EOFError: it can't be opened. Errors of the block pass
                through.
        """
        if self._files is None:
            self._files = self._transport().open_sftp_client()
        files = t.cast(paramiko.SFTPClient, self._files)
        try:
            yield files
        except BaseException:
            # Answers to earlier requests may still be on their way: the next transfer would take
            # them for its own.
            self._files = None
            files.close()
            raise

    def close(self) -> None:
        """Close everything, including each channel: the host hangs up on what still runs."""
        self._given_up.clear()
        if self._files is not None:
            self._files.close()
        if self._client is not None:
            self._client.close()
        if self._proxy is not None:
            self._proxy.close()
        self._files = self._client = self._proxy = None


def _password(become: BecomeBase | None) -> bytes:
    if become is None or not become.expect_prompt():
        return b""
    return str(become.get_option("become_pass") or "").encode("utf-8", "surrogateescape")


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


def _rsa_sha2_algorithms() -> dict[str, list[str]]:
    """Return the algorithms to disable for old hosts.

    Such hosts offer these signatures and can't make them.
    """
    keys, pubkeys = (
        getattr(paramiko.Transport, name, ()) for name in ("_preferred_keys", "_preferred_pubkeys")
    )
    return {
        "keys": [name for name in keys if name.startswith("rsa-sha2-")],
        "pubkeys": [name for name in pubkeys if name.startswith("rsa-sha2-")],
    }
