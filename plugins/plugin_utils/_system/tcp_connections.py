# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TCP connections of this machine that have received nothing yet, from sock_diag(7) of Linux.

Every user may ask the kernel by netlink. To duplicate the socket of another process (pidfd_getfd)
is not allowed where Yama lets a process trace only its own children.
"""

from __future__ import annotations

import socket
import struct
import typing as t

_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_ERROR, _DONE = 2, 3
_REQUEST_DUMP = 0x301
#: Attribute with C(struct tcp_info), see linux/inet_diag.h.
_INFO = 2

_ESTABLISHED, _SYN_SENT = 1, 2
_ALL_STATES = 0xFFFFFFFF

_HEADER = struct.Struct("=IHHII")
_QUESTION = struct.Struct("=BBBBI48x")
#: Family, state, expires, bytes to be read, bytes to be sent, user, inode.
_ANSWER = struct.Struct("=BBxx48xIIIII")
_ATTRIBUTE = struct.Struct("=HH")
_RECEIVED = struct.Struct("=Q")
#: Offset of tcpi_bytes_received in bytes. The field exists since Linux 4.1.
_RECEIVED_AT = 128

_REPLY_SECONDS = 1.0
_RECEIVE_BYTES = 1 << 17


def silent_connections() -> frozenset[int]:
    """Return the inodes of sockets that have not received a byte, connected or still connecting.

    Empty where the system does not report them.
    """
    silent: set[int] = set()
    heard: set[int] = set()
    if hasattr(socket, "AF_NETLINK"):
        try:
            for family in (socket.AF_INET, socket.AF_INET6):
                for inode, is_silent in _query(family):
                    (silent if is_silent else heard).add(inode)
        except (OSError, struct.error):
            return frozenset()
    # Several connections of multipath TCP share one inode.
    return frozenset(silent - heard)


def _query(family: int) -> list[tuple[int, bool]]:
    """Return the inode of each connection, and whether it has received nothing."""
    question = _QUESTION.pack(family, socket.IPPROTO_TCP, 1 << (_INFO - 1), 0, _ALL_STATES)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.settimeout(_REPLY_SECONDS)
        kernel.send(
            _HEADER.pack(_HEADER.size + len(question), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0)
            + question
        )
        found: list[tuple[int, bool]] = []
        while True:
            for kind, body in _messages(kernel.recv(_RECEIVE_BYTES)):
                if kind in (_ERROR, _DONE):
                    return found
                found.append((int(_ANSWER.unpack_from(body)[6]), _is_silent(body)))


def _messages(chunk: bytes) -> t.Iterator[tuple[int, bytes]]:
    while len(chunk) >= _HEADER.size:
        length, kind, *dummy = _HEADER.unpack_from(chunk)
        yield kind, chunk[_HEADER.size : length]
        chunk = chunk[max(_aligned(length), _HEADER.size) :]


def _is_silent(body: bytes) -> bool:
    """Whether a socket is connected or connecting, and has received nothing."""
    dummy, state, dummy, unread, *dummy_more = _ANSWER.unpack_from(body)
    if state not in (_ESTABLISHED, _SYN_SENT) or unread:
        return False
    info = _info(body[_ANSWER.size :])
    if len(info) < _RECEIVED_AT + _RECEIVED.size:
        return False
    return not _RECEIVED.unpack_from(info, _RECEIVED_AT)[0]


def _info(attributes: bytes) -> bytes:
    while len(attributes) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(attributes)
        if kind == _INFO:
            return attributes[_ATTRIBUTE.size : length]
        attributes = attributes[max(_aligned(length), _ATTRIBUTE.size) :]
    return b""


def _aligned(length: int) -> int:
    return (length + 3) & ~3
