# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file of an ended asynchronous job reports its end. Every other file stays as it is.

The tests use core's own wrapper.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import ansible
import pytest
from ansible_collections.treekill.remote.plugins.module_utils._kill_pass.job_file import (
    mark_as_ended,
)
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import KillRequest
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.host_report import (
    parse_report,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.kill_command import (
    kill_command,
)

from tests.unit.plugins.module_utils.process_namespace import ProcessNamespace
from tests.unit.plugins.module_utils.tree_kinds import COOKIE, LEASE, RUN

WRAPPER = Path(ansible.__file__).parent / "modules/async_wrapper.py"
STARTED = {"started": 1, "finished": 0, "ansible_job_id": "j7.5"}


@pytest.fixture
def namespace() -> Iterator[ProcessNamespace]:
    with ProcessNamespace() as running:
        yield running


def started_job(namespace: ProcessNamespace, folder: Path) -> Path:
    """Start a job that lasts. Return its file, once that shows that it was started."""
    module = folder.parent / "module"
    module.write_text("#!/bin/sh\nexec sleep 1000\n")
    module.chmod(0o755)
    place = os.pathsep.join(
        [str(Path(ansible.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    )
    # Beside other modules of core's, it would find those in the place of the standard library's.
    wrapper = folder.parent / "async_wrapper.py"
    wrapper.write_bytes(WRAPPER.read_bytes())
    # Newer cores give it the whole command line of the module. Older ones give it the module and a
    # file of arguments.
    how = (
        ["true", str(module), str(module)]
        if b"invocation_args" in WRAPPER.read_bytes()
        else [str(module), "_"]
    )
    words = [sys.executable, str(wrapper), "j7", "600", *how]
    environment = f"ANSIBLE_ASYNC_DIR={shlex.quote(str(folder))} PYTHONPATH={shlex.quote(place)}"
    namespace.spawn(["/bin/sh", "-c", f"export {COOKIE}; {environment} {shlex.join(words)}"])
    until = time.monotonic() + 60
    while not [file for file in folder.glob("j7.*") if file.suffix != ".tmp" and file.read_text()]:
        assert time.monotonic() < until, "the job did not start"
        time.sleep(0.01)
    namespace.wait_for(
        lambda now: any(process.arguments[0] == "sleep" for process in now.values()), "the module"
    )
    return next(file for file in folder.glob("j7.*") if file.suffix != ".tmp")


def test_a_job_that_was_ended_is_finished_and_failed(namespace, tmp_path):
    folder = tmp_path / "async"
    folder.mkdir()
    file = started_job(namespace, folder)
    before = json.loads(file.read_text())
    assert not before["finished"]
    output, dummy = namespace.run(
        [
            "/bin/sh",
            "-c",
            kill_command(
                KillRequest(RUN, LEASE, "n0", timeout=10.0, arrival_timeout=0.3), [sys.executable]
            ),
        ]
    )
    assert not parse_report(output, "n0").survivors
    after = json.loads(file.read_text())
    assert (after["finished"], after["failed"], after["ansible_job_id"]) == (True, True, file.name)
    assert type(after["finished"]) is type(before["finished"])
    assert "ended" in after["msg"]
    assert [name.name for name in folder.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("j7.5", {**STARTED, "finished": 1}),
        ("j7.5", {"changed": True, "ansible_job_id": "j7.5"}),
        ("j7.5", {**STARTED, "ansible_job_id": "j7.6"}),
        ("j7.5", "j7.5"),
        ("j77.5", {**STARTED, "ansible_job_id": "j77.5"}),
        ("j7.5.tmp", STARTED),
        ("j7.x", {**STARTED, "ansible_job_id": "j7.x"}),
    ],
    ids=str,
)
def test_any_other_file_stays_as_it_is(tmp_path, name, content):
    (tmp_path / name).write_text(json.dumps(content))
    before = (tmp_path / name).stat()
    try:
        mark_as_ended(str(tmp_path), "j7")
    except (ValueError, KeyError, TypeError):
        pass
    assert json.loads((tmp_path / name).read_text()) == content
    assert ((tmp_path / name).stat().st_ino, [file.name for file in tmp_path.iterdir()]) == (
        before.st_ino,
        [name],
    )


def test_nothing_is_written_through_a_link(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "j7.5").write_text(json.dumps(STARTED))
    place = tmp_path / "async"
    place.mkdir()
    (place / "j7.5").symlink_to(other / "j7.5")
    with pytest.raises(OSError, match="symbolic links"):
        mark_as_ended(str(place), "j7")
    assert json.loads((other / "j7.5").read_text()) == STARTED


def test_the_file_is_replaced_whole(tmp_path):
    (tmp_path / "j7.5").write_text(json.dumps(STARTED))
    before = (tmp_path / "j7.5").stat().st_ino
    mark_as_ended(str(tmp_path), "j7")
    assert (tmp_path / "j7.5").stat().st_ino != before
    assert json.loads((tmp_path / "j7.5").read_text())["finished"] == 1
