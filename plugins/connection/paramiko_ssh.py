# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An ssh connection that guards itself, through the Python library paramiko."""

from __future__ import annotations

DOCUMENTATION = r"""
name: paramiko_ssh
short_description: Connect by paramiko, and end what was started when the run is interrupted
version_added: 1.0.0
author:
  - The treekill.remote authors (@treekill)
description:
  - An SSH connection without the OpenSSH client. It guards every command that is sent through it.
  - Options, configuration and variables are those of C(ansible.builtin.paramiko_ssh).
    ansible-core deprecated that plugin in 2.19 and removed it in 2.21.
    An inventory that uses it needs C(ansible_connection=treekill.remote.paramiko_ssh),
    and then works on every supported ansible-core.
  - Host keys are checked against the system's and the user's file of known hosts.
    Nothing else is read from the configuration of OpenSSH.
requirements:
  - The Python library C(paramiko) on the controller, for the Python that runs Ansible.
extends_documentation_fragment:
  - treekill.remote.kill
options:
  remote_addr:
    description: Name or address of the host.
    type: str
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_host
      - name: ansible_ssh_host
      - name: ansible_paramiko_host
  port:
    description: Port that the SSH server listens on.
    type: int
    default: 22
    ini:
      - section: defaults
        key: remote_port
      - section: paramiko_connection
        key: remote_port
    env:
      - name: ANSIBLE_REMOTE_PORT
      - name: ANSIBLE_REMOTE_PARAMIKO_PORT
    vars:
      - name: ansible_port
      - name: ansible_ssh_port
      - name: ansible_paramiko_port
    keyword:
      - name: port
  remote_user:
    description:
      - User to log in as. The default is the user that runs Ansible.
      - The command-line option C(--user) sets it as well.
    type: str
    ini:
      - section: defaults
        key: remote_user
      - section: paramiko_connection
        key: remote_user
    env:
      - name: ANSIBLE_REMOTE_USER
      - name: ANSIBLE_PARAMIKO_REMOTE_USER
    vars:
      - name: ansible_user
      - name: ansible_ssh_user
      - name: ansible_paramiko_user
    keyword:
      - name: remote_user
  password:
    description:
      - Password to log in with, and passphrase of the private key.
      - It also answers a server that asks for it in a dialogue (keyboard-interactive).
      - With a password, the keys of an agent are not tried.
      - The command-line option C(--ask-pass) sets it as well.
    type: str
    vars:
      - name: ansible_password
      - name: ansible_ssh_pass
      - name: ansible_ssh_password
      - name: ansible_paramiko_pass
      - name: ansible_paramiko_password
  private_key_file:
    description: Private key to log in with.
    type: str
    ini:
      - section: defaults
        key: private_key_file
      - section: paramiko_connection
        key: private_key_file
    env:
      - name: ANSIBLE_PRIVATE_KEY_FILE
      - name: ANSIBLE_PARAMIKO_PRIVATE_KEY_FILE
    vars:
      - name: ansible_private_key_file
      - name: ansible_ssh_private_key_file
      - name: ansible_paramiko_private_key_file
    cli:
      - name: private_key_file
        option: '--private-key'
  look_for_keys:
    description: Try the private keys with the usual names in C(~/.ssh).
    type: bool
    default: true
    ini:
      - section: paramiko_connection
        key: look_for_keys
    env:
      - name: ANSIBLE_PARAMIKO_LOOK_FOR_KEYS
  use_rsa_sha2_algorithms:
    description:
      - Use RSA keys of host and user with SHA-2.
      - V(false) is for old servers that offer SHA-2 and can't use it.
      - paramiko 5 and later know RSA with SHA-2 only. With them, V(false) means no RSA key at all.
    type: bool
    default: true
    ini:
      - section: paramiko_connection
        key: use_rsa_sha2_algorithms
    env:
      - name: ANSIBLE_PARAMIKO_USE_RSA_SHA2_ALGORITHMS
    vars:
      - name: ansible_paramiko_use_rsa_sha2_algorithms
  host_key_checking:
    description:
      - Refuse a host with another key than the known one.
      - Ask before a new key is accepted.
    type: bool
    default: true
    ini:
      - section: defaults
        key: host_key_checking
      - section: paramiko_connection
        key: host_key_checking
    env:
      - name: ANSIBLE_HOST_KEY_CHECKING
      - name: ANSIBLE_SSH_HOST_KEY_CHECKING
      - name: ANSIBLE_PARAMIKO_HOST_KEY_CHECKING
    vars:
      - name: ansible_host_key_checking
      - name: ansible_ssh_host_key_checking
      - name: ansible_paramiko_host_key_checking
  host_key_auto_add:
    description: Accept the key of an unknown host without asking.
    type: bool
    default: false
    ini:
      - section: paramiko_connection
        key: host_key_auto_add
    env:
      - name: ANSIBLE_PARAMIKO_HOST_KEY_AUTO_ADD
  record_host_keys:
    description:
      - Append an accepted key to C(~/.ssh/known_hosts), at once.
      - If the user accepts the key of a new host and this is V(false),
        a kill order of the same run can't reach that host.
        With O(host_key_auto_add), it can.
    type: bool
    default: true
    ini:
      - section: paramiko_connection
        key: record_host_keys
    env:
      - name: ANSIBLE_PARAMIKO_RECORD_HOST_KEYS
  proxy_command:
    description:
      - A program whose standard input and output are the connection to the host.
        C(%h), C(%p) and C(%r) in it are host, port and user.
      - No shell reads it.
      - Without it, the first C(ProxyCommand) in O(ssh_args), O(ssh_common_args)
        and O(ssh_extra_args) is used.
    type: str
    default: ''
    ini:
      - section: paramiko_connection
        key: proxy_command
    env:
      - name: ANSIBLE_PARAMIKO_PROXY_COMMAND
    vars:
      - name: ansible_paramiko_proxy_command
  ssh_args:
    description: Arguments of the C(ssh) program, of which only a C(ProxyCommand) is used.
    type: str
    default: ''
    ini:
      - section: ssh_connection
        key: ssh_args
    env:
      - name: ANSIBLE_SSH_ARGS
    vars:
      - name: ansible_ssh_args
  ssh_common_args:
    description: Arguments of the C(ssh) program, of which only a C(ProxyCommand) is used.
    type: str
    default: ''
    ini:
      - section: ssh_connection
        key: ssh_common_args
    env:
      - name: ANSIBLE_SSH_COMMON_ARGS
    vars:
      - name: ansible_ssh_common_args
    cli:
      - name: ssh_common_args
  ssh_extra_args:
    description: Arguments of the C(ssh) program, of which only a C(ProxyCommand) is used.
    type: str
    default: ''
    ini:
      - section: ssh_connection
        key: ssh_extra_args
    env:
      - name: ANSIBLE_SSH_EXTRA_ARGS
    vars:
      - name: ansible_ssh_extra_args
    cli:
      - name: ssh_extra_args
  pty:
    description:
      - Give commands a terminal on the host. sudo may require one (C(requiretty)).
      - A command that gets data on its standard input has no terminal, see O(pipelining).
    type: bool
    default: true
    ini:
      - section: paramiko_connection
        key: pty
    env:
      - name: ANSIBLE_PARAMIKO_PTY
  pipelining:
    description:
      - Send modules on the standard input of their interpreter, and not as files.
        They then have no terminal.
      - The plugin of ansible-core never did this. Leave it off where sudo requires a terminal.
    type: bool
    default: false
    ini:
      - section: defaults
        key: pipelining
      - section: connection
        key: pipelining
      - section: paramiko_connection
        key: pipelining
    env:
      - name: ANSIBLE_PIPELINING
      - name: ANSIBLE_PARAMIKO_PIPELINING
    vars:
      - name: ansible_pipelining
      - name: ansible_paramiko_pipelining
  timeout:
    description: Seconds for the network connection, for the login, and for an answer of become.
    type: int
    default: 10
    ini:
      - section: defaults
        key: timeout
      - section: ssh_connection
        key: timeout
      - section: paramiko_connection
        key: timeout
    env:
      - name: ANSIBLE_TIMEOUT
      - name: ANSIBLE_SSH_TIMEOUT
      - name: ANSIBLE_PARAMIKO_TIMEOUT
    vars:
      - name: ansible_ssh_timeout
      - name: ansible_paramiko_timeout
    cli:
      - name: timeout
  banner_timeout:
    description: Seconds until the banner of the SSH server.
    type: float
    default: 30
    ini:
      - section: paramiko_connection
        key: banner_timeout
    env:
      - name: ANSIBLE_PARAMIKO_BANNER_TIMEOUT
notes:
  - Without the callback P(treekill.remote.guardian#callback), the first task starts a guardian.
    An interruption then ends what is running, and there is no recap.
  - The client is a part of the Ansible worker, and not a separate program.
    When a worker is killed, its connection ends too.
    The host then hangs up on the tree before a kill order arrives.
    With a supervisor (O(supervise)), no process is missed for this reason.
  - paramiko does not support C(ProxyJump).
    Use O(proxy_command), for example with C(ssh -W %h:%p jumphost).
seealso:
  - plugin: treekill.remote.ssh
    plugin_type: connection
"""

EXAMPLES = r"""
inventory: |
  # Connect by paramiko, to the second host through the first one
  all:
    hosts:
      web1.example.com:
      db1.internal:
        ansible_paramiko_proxy_command: ssh -W %h:%p web1.example.com
    vars:
      ansible_connection: treekill.remote.paramiko_ssh
      treekill_kill_timeout: 20
"""

import contextlib
import os
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.plugins.connection import ConnectionBase
from ansible.utils.display import Display
from ansible_collections.treekill.remote.plugins.plugin_utils._connection.self_guard import (
    guard_itself,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._core.core_secrets import hide
from ansible_collections.treekill.remote.plugins.plugin_utils._paramiko.connect import (
    connected_client,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._paramiko.ssh_client import Client

display = Display()


class Connection(ConnectionBase):
    """A connection to one host, through paramiko.

    The connection lasts for all commands and files of a task, including the items of a loop.
    """

    transport = "paramiko"
    has_pipelining = True

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._client: Client | None = None
        #: Called just before a command is sent. The guard sets it.
        self.before_command: t.Callable[[], object] = _nothing

    def set_options(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().set_options(*args, **kwargs)
        hide(self.get_option("password"))
        guard_itself(self)

    def _connect(self) -> Connection:
        if self._client is None or not self._client.alive:
            self.close()
            self._client = connected_client(self)
        self._connected = True
        return self

    @property
    def _connected_client(self) -> Client:
        self._connect()
        return t.cast(Client, self._client)

    def exec_command(
        self, cmd: str, in_data: bytes | None = None, sudoable: bool = True
    ) -> tuple[int, bytes, bytes]:
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        terminal = (
            os.environ.get("TERM", "vt100")
            if sudoable and not in_data and self.get_option("pty")
            else ""
        )
        display.vvv(f"paramiko: EXEC {cmd}", host=self.get_option("remote_addr"))
        return self._connected_client.execute(
            cmd,
            in_data,
            terminal,
            self.become if sudoable else None,
            self.before_command,
            held=vars(self).get("held_client"),
        )

    def put_file(self, in_path: str, out_path: str) -> None:
        super().put_file(in_path, out_path)
        display.vvv(f"paramiko: PUT {in_path} TO {out_path}", host=self.get_option("remote_addr"))
        if not os.path.exists(_bytes(in_path)):
            raise AnsibleFileNotFound(f"file or module does not exist: {in_path}")
        with self._transfer(f"failed to transfer file to {out_path}") as files:
            files.put(_bytes(in_path), _bytes(out_path))

    def fetch_file(self, in_path: str, out_path: str) -> None:
        super().fetch_file(in_path, out_path)
        display.vvv(f"paramiko: FETCH {in_path} TO {out_path}", host=self.get_option("remote_addr"))
        with self._transfer(f"failed to transfer file from {in_path}") as files:
            files.get(_bytes(in_path), _bytes(out_path))

    @contextlib.contextmanager
    def _transfer(self, failure: str) -> t.Iterator[t.Any]:
        client = self._connected_client
        try:
            with client.files() as files:
                yield files
        except client.errors as error:
            if not client.alive:
                raise AnsibleConnectionFailure(
                    f"{failure}: the connection via paramiko was lost"
                ) from error
            reason = str(error) or error.__class__.__name__
            raise AnsibleError(f"{failure}: {reason}") from error

    def reset(self) -> None:
        if self._connected:
            self.close()
            self._connect()

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        self._connected = False


def _nothing() -> None:
    """Do nothing before a command without a guard."""


def _bytes(path: str) -> bytes:
    """Return a file name as bytes.

    Names on either side need not be text. Core keeps other bytes as surrogates.
    """
    return path.encode("utf-8", "surrogateescape")
