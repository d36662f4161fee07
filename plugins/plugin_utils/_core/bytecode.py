# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Imports of the collection's own files, compiled once and not in each run.

Core's importer for collections compiles each file whenever it is imported. That is half of what the
callback costs at the start of a run. Python's own importer keeps the result in C(__pycache__).
Core's loader of plugins uses it for the file of each callback, and so does this for the rest.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import types
import typing as t
from importlib.machinery import SourceFileLoader

if t.TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

#: The plugins themselves are imported by core.
_OWN = tuple(
    f"ansible_collections.treekill.remote.plugins.{world}"
    for world in ("module_utils._", "plugin_utils._", "doc_fragments.")
)


class _OwnLoader(SourceFileLoader):
    """The loader of a file, which compiles it if the bytecode is damaged.

    Python writes a part of the bytecode where the disk becomes full. It refuses to read that later.
    """

    def get_code(self, fullname: str) -> types.CodeType | None:
        """Return the code of the file.

        Raises:
            SyntaxError: the file itself is damaged.
            OSError: it can't be read.
        """
        try:
            return super().get_code(fullname)
        except (EOFError, ImportError, TypeError, ValueError):
            path = self.get_filename(fullname)
            with contextlib.suppress(OSError, NotImplementedError):
                # The next run writes it again.
                os.unlink(importlib.util.cache_from_source(path))
            return self.source_to_code(self.get_data(path), path)


class OwnFinder:
    """The finder of the collection's own files. For all else it finds nothing."""

    @staticmethod
    def find_spec(
        name: str, path: t.Sequence[str] | None = None, *dummy_target: object
    ) -> ModuleSpec | None:
        """Return how Python loads an own file; None if the name is of anything else.

        Arguments and result are those of `importlib.abc.MetaPathFinder.find_spec`.
        """
        if not path or not name.startswith(_OWN):
            return None
        file = os.path.join(path[0], name.rpartition(".")[2] + ".py")
        if not os.path.isfile(file):
            return None
        return importlib.util.spec_from_file_location(name, file, loader=_OwnLoader(name, file))


def keep_bytecode() -> None:
    """Have Python import the collection's own files from now on.

    It writes what it has compiled beside the file, if it may. Neither an unwritable directory nor
    a full disk is an error, and damaged bytecode is not used. E(PYTHONDONTWRITEBYTECODE) and
    E(PYTHONPYCACHEPREFIX) apply.
    """
    if OwnFinder not in sys.meta_path:
        sys.meta_path.insert(0, OwnFinder)
