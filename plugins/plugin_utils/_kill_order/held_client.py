# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client of a pulse: what a connection plugin starts, with an input that stays open.

Plugins close the input of a client as soon as they have sent what they were given. Here, this
process holds it open as well. It reads what comes from the host as it comes.

Two plugins have a client that is no process. `treekill.remote.paramiko_ssh` does this itself, with
the attribute `held_client` of its connection. For `community.docker.docker_api`, its class of
sockets is replaced.

It is used only in the process of one pulse, which starts nothing else.
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
import typing as t

if t.TYPE_CHECKING:
    from ansible.plugins.connection import ConnectionBase

#: What docker's API calls the standard output, in the frames of a stream.
_STDOUT = 1


class HeldClient:
    """The last client that this process has started, and its input."""

    def __init__(self, heard: t.Callable[[bytes], bool]) -> None:
        """Begin to replace what plugins start.

        `heard`: called with all that the client prints. Returns whether the plugin gets what comes
        after that as well.
        """
        self.heard = heard
        #: When the last connection began, after its plugins were loaded.
        self.began = 0.0
        self._write: t.Callable[[bytes], object] | None = None
        self._close: t.Callable[[], object] = lambda: None
        self._lock = threading.Lock()
        held, openpty = self, pty.openpty

        class Client(subprocess.Popen):  # type: ignore[type-arg] # of bytes or text, as it is told
            """A client of a plugin."""

            def __init__(self, *words: t.Any, **more: t.Any) -> None:
                read_end = write_end = heard_end = heard_by = None
                if more.get("stdin") == subprocess.PIPE:
                    read_end, write_end = os.pipe()
                    more["stdin"] = read_end
                if more.get("stdout") == subprocess.PIPE:
                    heard_end, heard_by = os.pipe()
                    more["stdout"] = heard_by
                super().__init__(*words, **more)
                if read_end is not None and write_end is not None:
                    os.close(read_end)
                    self.stdin = os.fdopen(os.dup(write_end), "wb", 0)
                    held.hold_descriptor(write_end)
                if heard_end is not None and heard_by is not None:
                    os.close(heard_by)
                    plugin_end, copy_end = os.pipe()
                    self.stdout = os.fdopen(plugin_end, "rb")
                    threading.Thread(
                        target=held.listen, args=(heard_end, copy_end), daemon=True
                    ).start()

        def open_terminal() -> tuple[int, int]:
            master, slave = openpty()
            held.hold_descriptor(os.dup(master))
            return master, slave

        vars(subprocess)["Popen"] = Client
        vars(pty)["openpty"] = open_terminal

    def hold_sockets_of(self, connection: ConnectionBase) -> None:
        """Replace the class of sockets that docker_api uses. Other plugins have no such class."""
        names = vars(sys.modules[type(connection).__module__])
        plain, held = names.get("DockerSocketHandler"), self
        if not isinstance(plain, type) or plain.__module__ == __name__:
            return

        class Handler(plain):  # type: ignore[misc,valid-type] # it is known when it is there
            """A socket whose input stays open as long as the plugin reads its output."""

            def __init__(self, *words: t.Any, **more: t.Any) -> None:
                super().__init__(*words, **more)
                held.hold(self.write)

            def end_of_writing(self) -> None:
                """Close nothing."""

            def set_block_done_callback(self, take: t.Callable[[int, bytes], None]) -> None:
                """Let this process read the output as well."""
                copies = True

                def take_block(stream: int, block: bytes) -> None:
                    nonlocal copies
                    if copies or stream != _STDOUT:
                        take(stream, block)
                    if stream == _STDOUT:
                        copies = held.heard(block)

                super().set_block_done_callback(take_block)

        names["DockerSocketHandler"] = Handler

    def hold_descriptor(self, descriptor: int) -> None:
        """Hold this input of a client open, and close the one before."""
        self.hold(lambda text: os.write(descriptor, text), lambda: os.close(descriptor))

    def hold(
        self,
        write: t.Callable[[bytes], object] | None,
        close: t.Callable[[], object] = lambda: None,
    ) -> None:
        """Hold this input open, and close the one before. None: hold no input.

        `write` and `close` raise OSError or ValueError if the client has ended.
        """
        with self._lock:
            self._close()
            self._write, self._close = write, close

    def send(self, line: str) -> None:
        """Send a line to the client, if there is one."""
        with self._lock:
            if self._write is not None:
                try:
                    self._write(f"{line}\n".encode())
                except (OSError, ValueError):
                    pass  # it has ended, and another one will be started

    def listen(self, source: int, copy: int) -> None:
        """Read what the client prints, until its end."""
        copies = True
        while chunk := os.read(source, 65536):
            if copies:
                os.write(copy, chunk)
            copies = self.heard(chunk)
        os.close(source)
        os.close(copy)
