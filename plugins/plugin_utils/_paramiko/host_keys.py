# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Host keys of a paramiko connection: the known ones, the question about others, and the record.

An accepted key is recorded at once, not when the connection is closed. The kill order of the first
task uses another connection, and can ask no user.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import os
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._paramiko.library import paramiko

#: Only the first existing file is read.
SYSTEM_FILES = ("/etc/ssh/ssh_known_hosts", "/etc/openssh/ssh_known_hosts")

#: Answers that accept a key. The empty answer does, as in ansible-core's plugin.
_YES = ("yes", "y", "")


class HostKeyRefused(Exception):
    """The key of the host is not known, and was not accepted. The text has the reason."""


@dataclasses.dataclass
class HostKeys:
    """The known host keys, and how unknown ones are treated. A policy for paramiko's client."""

    #: Whether unknown keys matter at all.
    checking: bool
    #: Whether an unknown key is accepted without asking.
    auto_add: bool
    #: Whether an accepted key is written to the user's file. Without checking, none is.
    record: bool
    #: Asks the user a question and returns the answer; None if there is no user to ask.
    ask: t.Callable[[str], str | None]
    #: A block in which no other worker of the run asks or writes.
    alone: t.Callable[[], t.ContextManager[None]]
    user_file: str = dataclasses.field(
        default_factory=lambda: os.path.expanduser("~/.ssh/known_hosts")
    )
    system_files: tuple[str, ...] = SYSTEM_FILES

    def load_into(self, client: paramiko.SSHClient) -> None:
        """Give the client all known keys."""
        if not self.checking:
            return
        for name in self.system_files:
            if os.path.exists(name):
                client.load_system_host_keys(name)
                break
        if os.path.exists(self.user_file):
            client.load_system_host_keys(self.user_file)

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        """Decide about a host without a known key; paramiko calls this.

        Raises:
            HostKeyRefused: the key is not accepted.
            BadHostKeyException: another worker has accepted another key in the meantime.
        """
        if not self.checking:
            return
        with self.alone():
            if self._accepted_meanwhile(hostname, key):
                return
            if not self.auto_add:
                self._question(hostname, key)
            if self.record:
                self._write(hostname, key)

    def _accepted_meanwhile(self, hostname: str, key: paramiko.PKey) -> bool:
        """Whether another worker has accepted this key in the meantime.

        Workers reach a new host at the same time: in a loop over delegates, or by two names for one
        address.
        """
        if not os.path.exists(self.user_file):
            return False
        known = paramiko.HostKeys(self.user_file).lookup(hostname)
        if not known:
            return False
        if known.get(key.get_name()) != key:
            raise paramiko.BadHostKeyException(hostname, key, next(iter(known.values())))
        return True

    def _question(self, hostname: str, key: paramiko.PKey) -> None:
        described = (
            f"The host key of {hostname} is not known ({key.get_name()}, {fingerprint(key)})"
        )
        answer = self.ask(
            f"\nparamiko: {described}.\nAre you sure you want to continue connecting (yes/no)?\n"
        )
        if answer is None:
            raise HostKeyRefused(f"{described}, and there is no user to ask.")
        if answer.strip().lower() not in _YES:
            raise HostKeyRefused(f"{described}, and was rejected by the user.")

    def _write(self, hostname: str, key: paramiko.PKey) -> None:
        """Append the key to the user's file.

        Existing content stays as it is, including comments and hashed names. Other processes may
        write at the same time.
        """
        folder = os.path.dirname(self.user_file)
        with contextlib.suppress(FileExistsError):
            os.makedirs(folder, mode=0o700)
        line = f"{hostname} {key.get_name()} {key.get_base64()}\n".encode()
        descriptor = os.open(self.user_file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line
            # In one write: another run may append as well.
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


def fingerprint(key: paramiko.PKey) -> str:
    """Return the fingerprint in the form of OpenSSH."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode(
        "ascii"
    ).rstrip("=")
