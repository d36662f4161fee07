# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that killed guardians have left. A later run removes them, and no others."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._system.leftovers import (
    remove_leftovers,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._system.processes import identify

#: No process.
GONE = ProcessId(2**22 + 1, 7)

MINUTE, DAY = 60.0, 86400.0


@pytest.fixture
def parent() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tk-", dir="/tmp") as directory:
        yield Path(directory)


def left_by(parent: Path, main: ProcessId, *names: str, uid: int = os.getuid()) -> Path:
    """Return the directory of a guardian that was killed: no process listens at its socket."""
    directory = parent / f"treekill-{uid}-{main.pid}-{main.start}"
    directory.mkdir(mode=0o700)
    endpoint.listen(str(directory / "socket")).close()
    for name in ("lock", *names):
        (directory / name).touch()
    return directory


def remove(parent: Path, later: float) -> None:
    remove_leftovers([str(parent), str(parent / "missing")], time.time() + later)


def test_the_directory_of_a_run_that_is_gone_is_removed_after_a_while(parent):
    directory = left_by(parent, GONE)
    remove(parent, MINUTE)
    assert directory.exists()
    remove(parent, 11 * MINUTE)
    assert not directory.exists()


def test_word_of_a_crash_is_kept_for_a_day(parent):
    directory = left_by(parent, GONE, "crash")
    (directory / "after-xyz").mkdir()
    remove(parent, 11 * MINUTE)
    assert directory.exists()
    remove(parent, 2 * DAY)
    assert not directory.exists()


def test_the_directory_of_a_run_that_goes_on_stays(parent):
    directory = left_by(parent, identify(os.getpid()))
    remove(parent, 2 * DAY)
    assert directory.exists()


def test_that_of_an_earlier_process_with_the_same_pid_does_not(parent):
    main = identify(os.getpid())
    directory = left_by(parent, ProcessId(main.pid, main.start - 1))
    remove(parent, 2 * DAY)
    assert not directory.exists()


def test_a_socket_that_is_answered_at_stays_whatever_its_name_says(parent):
    """Its main process may be in another pid namespace, with this temporary directory."""
    directory = left_by(parent, GONE)
    with endpoint.listen(str(directory / "socket")):
        remove(parent, 2 * DAY)
    assert (directory / "socket").exists()


@pytest.mark.parametrize(
    "name",
    [
        "treekill-0-1",
        "treekill-x-1-1",
        f"treekill-{os.getuid()}-0-1",
        f"treekill-{os.getuid()}-4194305-7.old",
        "treekill",
    ],
)
def test_what_has_another_name_stays(parent, name):
    left_by(parent, GONE).rename(parent / name)
    remove(parent, 2 * DAY)
    assert (parent / name / "socket").exists()


def test_links_and_directories_that_others_may_write_stay(parent):
    real = left_by(parent, GONE)
    real.rename(parent / "real")
    real.symlink_to(parent / "real")
    remove(parent, 2 * DAY)
    assert (parent / "real" / "socket").exists()
    real.unlink()
    (parent / "real").rename(real)
    real.chmod(0o770)
    remove(parent, 2 * DAY)
    assert (real / "socket").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's directory")
def test_what_belongs_to_another_user_stays(parent):
    directory = left_by(parent, GONE)
    os.chown(directory, 64999, 64999)
    remove(parent, 2 * DAY)
    assert (directory / "socket").exists()


def test_a_file_of_another_user_in_it_keeps_the_directory(parent):
    directory = left_by(parent, GONE, "precious")
    remove(parent, 2 * DAY)
    assert [path.name for path in directory.iterdir()] == ["precious"]


def test_the_word_of_a_crash_is_told_by_kind_and_place_and_only_of_the_last_guardian(parent):
    path = str(left_by(parent, GONE) / "socket")
    assert endpoint.crash_reason(path) == ""
    crash = Path(endpoint.crash_path(path))
    crash.write_text("Traceback (most recent call last):\n  File\nKeyError: 'hunter2'\n")
    os.utime(crash, (time.time() + 5, time.time() + 5))
    assert endpoint.crash_reason(path) == f"by an error of its own (KeyError; see {crash})"
    os.utime(crash, (1, 1))
    assert endpoint.crash_reason(path) == ""
