# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs that are runs of their own, started for a test and gone with it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import framing

ROOT = Path(__file__).resolve().parents[4]

#: The folder in which Python has found `ansible_collections`.
COLLECTIONS = Path(framing.__file__).parents[6]

#: PYTHONPATH of a program that a test starts. The PYTHONPATH of the tests may have core itself.
PLACES = ":".join([str(ROOT), str(COLLECTIONS), *filter(None, [os.environ.get("PYTHONPATH")])])


@contextlib.contextmanager
def start_run(order: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """Start it with its order given.

    Its guardian's directory is below a directory of its own, and has to be gone at the end.
    """
    with tempfile.TemporaryDirectory(prefix="tk-", dir="/tmp") as directory:
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TREEKILL", "XDG_RUNTIME_DIR"))
        }
        environ.update(TMPDIR=directory, PYTHONPATH=PLACES, LC_ALL="C.UTF-8")
        with subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("run_program.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ,
            text=True,
        ) as process:
            assert process.stdin is not None
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            try:
                yield process
            finally:
                process.kill()
        deadline = time.monotonic() + 20
        while list(Path(directory).glob("treekill-*")):
            assert time.monotonic() < deadline, (
                f"the guardian left {list(Path(directory).rglob('*'))}"
            )
            time.sleep(0.01)


def answer_of(process: subprocess.Popen[str]) -> Any:
    """Return the next thing that it prints."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "it ended without an answer"
    return json.loads(line)
