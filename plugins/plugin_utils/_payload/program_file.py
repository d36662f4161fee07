# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file beside the collection's bytecode that keeps the programs for the next run.

It counts only with the very text of all files that the programs are made from. Times and sizes of
files are no proof: a host must never get the program of another version.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pathlib
import sys
import typing as t
from importlib.machinery import SourceFileLoader

_PLUGINS = pathlib.Path(__file__).resolve().parents[2]


def _sources() -> list[pathlib.Path]:
    """Return all files that the programs are made from, and those that make them.

    Return none if the former are not found.
    """
    of_hosts = [*_PLUGINS.glob("module_utils/_*/*.py")]
    return [*of_hosts, *pathlib.Path(__file__).parent.glob("*.py")] if of_hosts else []


def _digest(sources: t.Sequence[pathlib.Path]) -> bytes:
    """Return a value that all names and texts decide; empty if there is no file, or no access."""
    if not sources:
        return b""
    whole = hashlib.sha256()
    try:
        for source in sorted(sources):
            text = hashlib.sha256(source.read_bytes())
            whole.update(f"{source.parent.name}/{source.name} {text.hexdigest()}\n".encode())
    except OSError:
        return b""
    return whole.digest()


class ProgramFile:
    """The file, as long as it belongs to the sources as they were when this was made.

    It is where Python keeps the bytecode of this file, and is trusted as that is.
    """

    def __init__(self, path: str | None = None, sources: t.Sequence[pathlib.Path] = ()) -> None:
        """Take the sources as they are now.

        Args:
            path: of the file; by default beside the bytecode of this Python.
            sources: all files that decide about the content; by default those of the programs.
        """
        self._sources = sources or _sources()
        self._of_sources = _digest(self._sources)
        self._path = path or os.path.join(
            os.path.dirname(importlib.util.cache_from_source(__file__)),
            f"programs.{sys.implementation.cache_tag}",
        )

    def read(self) -> bytes | None:
        """Return the content; None if it is not of these sources, or is damaged."""
        try:
            with open(self._path, "rb") as file:
                if os.fstat(file.fileno()).st_mode & 0o022:
                    return None  # other users may write it
                head, content = file.read(hashlib.sha256().digest_size), file.read()
        except OSError:
            return None
        return content if self._of_sources and head == self._head(content) else None

    def write(self, content: bytes) -> None:
        """Write it as Python writes bytecode: all at once, and not where that is not allowed.

        Nothing is written if the sources have changed meanwhile.
        """
        if (
            not sys.dont_write_bytecode
            and self._of_sources
            and self._of_sources == _digest(self._sources)
        ):
            loader = SourceFileLoader(__name__, __file__)
            # Whatever the umask is: no other user may write a program that runs on hosts.
            loader.set_data(self._path, self._head(content) + content, _mode=0o644)

    def _head(self, content: bytes) -> bytes:
        return hashlib.sha256(self._of_sources + content).digest()
