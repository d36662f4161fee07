# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Frames of JSON on the guardian's socket: four bytes of length, then one JSON object in UTF-8."""

from __future__ import annotations

import json
import socket
import struct
import typing as t

#: Content of a frame. Other files use the dataclasses of `messages.py` instead.
JsonObject = dict[str, t.Any]

_LENGTH = struct.Struct("!I")

#: Bytes. A kill order has some ten kilobytes. A length above this is garbage, not a frame worth
#: buffering.
MAX_FRAME_BYTES = 4 * 1024 * 1024

#: Bytes that are accepted from the guardian, which is trusted. A report of some hundred hosts with
#: a thousand processes each has a hundred million.
MAX_REPORT_BYTES = 1024 * 1024 * 1024


class FrameError(Exception):
    """The peer sent no frame.

    Its length is above `MAX_FRAME_BYTES`, its UTF-8 or JSON is broken, or it is no object.
    """


def encode(message: JsonObject) -> bytes:
    """Return one frame."""
    payload = to_json(message).encode("utf-8", "surrogatepass")
    return _LENGTH.pack(len(payload)) + payload


def to_json(value: object) -> str:
    """Return JSON, also of plugin options.

    JSON does not know vaulted strings and paths. They become text, which such an option is in an
    inventory too.
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
    """Splitter of a stream of bytes into messages. It keeps the bytes of an incomplete frame."""

    def __init__(self, limit: int = MAX_FRAME_BYTES) -> None:
        """`limit`: the maximum length of a frame in bytes."""
        self._limit = limit
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> list[JsonObject]:
        """Return the messages that `chunk` completes, in order.

        Raises:
            FrameError: the stream holds no frames. The connection must be closed, because nothing
                after that can be trusted.
        """
        self._pending += chunk
        messages = []
        while len(self._pending) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._pending)
            if length > self._limit:
                raise FrameError(
                    f"a frame of {length} bytes was announced, above the limit of {self._limit}"
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
    """Blocking end of a connection to the guardian, for workers and the main process."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._reader = FrameReader(MAX_REPORT_BYTES)
        self._messages: list[JsonObject] = []
        self._unsent = bytearray()

    def send(self, message: JsonObject) -> None:
        """Send one whole message.

        Raises:
            OSError: the guardian is gone, or did not read within the socket's timeout
                (TimeoutError). After a timeout the rest is sent before the next message.
        """
        self._unsent += encode(message)
        while self._unsent:
            sent = self.socket.send(self._unsent)
            del self._unsent[:sent]

    def receive(self) -> JsonObject:
        """Return the next message.

        Raises:
            ConnectionError: the guardian closed the connection.
            TimeoutError: nothing came within the socket's timeout.
            FrameError: the guardian sent no frame.
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
