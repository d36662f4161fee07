# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""galaxy-importer: Galaxy runs it on the tarball at an upload, and this gate before that."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Sequence

from . import _collection
from ._commands import SetupError, run
from ._lint_setup import Workshop
from ._lock import locked


def check(workshop: Workshop) -> Sequence[str]:
    """Import the tarball.

    Warnings count as errors, because they are not read after an upload.
    """
    importer = workshop.importer()
    with locked():
        tarball = _collection.build(workshop.venv)
    # ansible-lint and ansible-test are gates of their own, with newer versions.
    settings = importer.environment(
        GALAXY_IMPORTER_CHECK_REQUIRED_TAGS="true", GALAXY_IMPORTER_RUN_ANSIBLE_LINT="false"
    )
    with tempfile.TemporaryDirectory() as result:
        printed = run(
            [importer.python, "-m", "galaxy_importer.main", tarball], cwd=Path(result), env=settings
        )
    bad = [line for line in printed.splitlines() if line.startswith(("WARNING", "ERROR"))]
    if bad or "Importer processing completed successfully" not in printed:
        raise SetupError("\n".join(bad) or printed)
    return ()
