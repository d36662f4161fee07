# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Frames of JSON on the guardian's socket: four bytes of length, then one JSON object in UTF-8."""

from __future__ import annotations

import json
import socket
import struct
import typing as t

#: What a frame holds. Outside of the files that read and write frames it is one of the dataclasses
#: of `messages.py`.
JsonObject = dict[str, t.Any]

_LENGTH = struct.Struct("!I")

#: Bytes. A kill order has some ten kilobytes; a length above this is garbage, not a frame worth
#: buffering.
MAX_FRAME_BYTES = 4 * 1024 * 1024

#: Bytes that are taken from the guardian, which is no stranger: its report of some hundred hosts,
#: each with a thousand processes, has a hundred million.
MAX_REPORT_BYTES = 1024 * 1024 * 1024


class FrameError(Exception):
    """The peer sent what is not a frame: a length above L(MAX_FRAME_BYTES), broken UTF-8 or JSON, or no object."""


def encode(message: JsonObject) -> bytes:
    """One frame."""
    payload = to_json(message).encode("utf-8", "surrogatepass")
    return _LENGTH.pack(len(payload)) + payload


def to_json(value: object) -> str:
    """JSON of plugin options as well.

    What JSON does not know (vaulted strings, paths) becomes its text, which is what such an option is in an inventory too.
    """
    return json.dumps(value, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, t.Mapping):
        return dict(value)
    return str(value)


class FrameReader:
    """Cuts a stream of bytes into messages; holds what has not yet become a whole frame."""

    def __init__(self, limit: int = MAX_FRAME_BYTES) -> None:
        """`limit`: the most bytes of a frame that are taken."""
        self._limit = limit
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> list[JsonObject]:
        """The messages that `chunk` completes, in order.

        Raises:
            FrameError: the stream is not frames. Nothing after that can be trusted: close the connection.
        """
        self._pending += chunk
        messages = []
        while len(self._pending) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._pending)
            if length > self._limit:
                raise FrameError(
                    f"a frame of {length} bytes was announced; {self._limit} is the most that is taken"
                )
            start, end = _LENGTH.size, _LENGTH.size + length
            if len(self._pending) < end:
                break
            messages.append(_decode(bytes(self._pending[start:end])))
            del self._pending[:end]
        return messages


def _decode(payload: bytes) -> JsonObject:
    try:
        message = json.loads(payload.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise FrameError(f"a frame of {len(payload)} bytes is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise FrameError(f"a frame holds a JSON {type(message).__name__}, not an object")
    return message


class Channel:
    """The blocking end of a connection to the guardian: used by workers and by the main process."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._reader = FrameReader(MAX_REPORT_BYTES)
        self._messages: list[JsonObject] = []
        self._unsent = bytearray()

    def send(self, message: JsonObject) -> None:
        """Send one message whole.

        Raises:
            OSError: the guardian is gone, or did not read for the socket's timeout (TimeoutError). After a timeout the rest goes before the next message.
        """
        self._unsent += encode(message)
        while self._unsent:
            sent = self.socket.send(self._unsent)
            del self._unsent[:sent]

    def receive(self) -> JsonObject:
        """The next message.

        Raises:
            ConnectionError: the guardian closed the connection.
            TimeoutError: nothing came for the socket's timeout.
            FrameError: what came is not a frame.
        """
        while not self._messages:
            chunk = self.socket.recv(65536)
            if not chunk:
                raise ConnectionResetError("the guardian closed the connection")
            self._messages += self._reader.feed(chunk)
        return self._messages.pop(0)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()
