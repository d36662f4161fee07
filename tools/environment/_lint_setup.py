# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The needs of the gates: environments of a core and of the linters, and a copy of the tree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Mapping

from . import _venvs
from ._interpreters import choose, interpreters
from ._lock import locked
from ._paths import HOME, IN_COLLECTIONS
from ._setup import Ready
from ._sources import snapshot
from ._venvs import Venv


@dataclass(frozen=True)
class Workshop:
    """Environments and files of a gate. They are complete when a gate gets them."""

    ready: Ready
    #: The linters, beside the newest core that runs here, whatever core the tests are for.
    lint: Venv
    #: Folder for ANSIBLE_COLLECTIONS_PATH with a copy of the tree: linters look at files that can't
    #: change meanwhile.
    collections: Path

    @property
    def copy(self) -> Path:
        """The copy, a git repository of its own."""
        return self.collections / IN_COLLECTIONS

    @property
    def venv(self) -> Venv:
        """The environment of the chosen core."""
        return self.ready.venv

    def environment(self, collections: Path) -> Mapping[str, str]:
        """Return the environment for tools that write into the home directory.

        They find the collection by its name, in that folder.
        """
        HOME.mkdir(parents=True, exist_ok=True)
        return self.lint.environment(
            ANSIBLE_COLLECTIONS_PATH=str(collections), HOME=str(HOME), NO_COLOR="1"
        )

    def importer(self) -> Venv:
        """Environment of galaxy-importer, made when it is asked for.

        It is large, and only one gate needs it.
        """
        with locked():
            return _venvs.importer_venv(*choose(None, interpreters()))


def workshop(ready: Ready) -> Workshop:
    """Make what is missing."""
    with locked():
        return Workshop(ready, _venvs.lint_venv(*choose(None, interpreters())), snapshot())
