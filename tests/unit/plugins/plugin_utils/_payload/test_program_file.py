# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs of an earlier run serve the next one, and never those of another version."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.treekill.remote.plugins.plugin_utils._payload import program_file
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.program_file import (
    ProgramFile,
)

PAYLOAD = "ansible_collections.treekill.remote.plugins.plugin_utils._payload"

CONTENT = b'{"kill_pass": "one"}'


class Kept:
    """A file of two sources."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "programs"
        self.sources = [directory / name for name in ("one.py", "two.py")]
        for source in self.sources:
            source.write_text("first = 1\n")

    def file(self) -> ProgramFile:
        return ProgramFile(str(self.path), self.sources)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    found = Kept(tmp_path)
    found.file().write(CONTENT)
    return found


def test_what_was_written_is_read(kept: Kept) -> None:
    assert kept.file().read() == CONTENT


def test_another_text_with_the_same_time_and_size_counts_as_changed(kept: Kept) -> None:
    source = kept.sources[1]
    status = source.stat()
    source.write_text("first = 2\n")
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert source.stat().st_size == status.st_size
    assert kept.file().read() is None


def test_two_files_that_have_changed_places_count_as_changed(kept: Kept) -> None:
    kept.sources[0].write_text("second = 2\n")
    kept.file().write(CONTENT)
    assert kept.file().read() == CONTENT
    one, two = (source.read_text() for source in kept.sources)
    kept.sources[0].write_text(two)
    kept.sources[1].write_text(one)
    assert kept.file().read() is None


def test_a_missing_source_is_no_match(kept: Kept) -> None:
    kept.sources[0].unlink()
    assert kept.file().read() is None


def test_a_new_source_counts_as_a_change(kept: Kept) -> None:
    new = kept.path.parent / "three.py"
    new.write_text("")
    assert ProgramFile(str(kept.path), [*kept.sources, new]).read() is None


@pytest.mark.parametrize("length", [0, 20, 40, -1])
def test_a_file_that_was_cut_off_is_not_used(kept: Kept, length: int) -> None:
    kept.path.write_bytes(kept.path.read_bytes()[:length])
    assert kept.file().read() is None


@pytest.mark.parametrize("place", [0, 40])
def test_a_damaged_file_is_not_used(kept: Kept, place: int) -> None:
    content = bytearray(kept.path.read_bytes())
    content[place] ^= 1
    kept.path.write_bytes(content)
    assert kept.file().read() is None


def test_sources_that_change_meanwhile_leave_no_file(kept: Kept) -> None:
    kept.path.unlink()
    file = kept.file()
    kept.sources[0].write_text("second = 2\n")
    file.write(CONTENT)
    assert not kept.path.exists()


def test_nothing_is_written_where_python_writes_no_bytecode(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.path.unlink()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    kept.file().write(CONTENT)
    assert not kept.path.exists()


def test_a_directory_that_can_not_be_made_is_no_error(kept: Kept) -> None:
    ProgramFile("/proc/self/absent/programs", kept.sources).write(CONTENT)


def test_no_other_user_may_write_the_file(kept: Kept) -> None:
    kept.path.unlink()
    before = os.umask(0)
    try:
        kept.file().write(CONTENT)
    finally:
        os.umask(before)
    assert kept.path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_file_that_others_may_write_is_not_used(kept: Kept, mode: int) -> None:
    kept.path.chmod(mode)
    assert kept.file().read() is None


def test_without_any_source_there_is_no_match(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_file, "_sources", list)
    kept.path.unlink()
    ProgramFile(str(kept.path)).write(CONTENT)
    assert not kept.path.exists()


#: Prints the digest of the programs. It leaves a file "made" if they were made.
_RUN = f"""
import hashlib, pathlib, sys
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader()
sys.dont_write_bytecode, sys.pycache_prefix = False, sys.argv[1]
from {PAYLOAD} import cache
assemble = cache._assemble
cache._assemble = lambda: (pathlib.Path(sys.argv[1], "made").touch(), assemble())[1]
cache.prepare()
text = repr(cache.programs())
print(hashlib.sha256(text.encode()).hexdigest())
"""


def test_the_next_run_makes_no_programs_and_has_the_same(tmp_path: Path) -> None:
    """The control: the first run makes them."""
    made = tmp_path / "made"

    def run() -> str:
        done = subprocess.run(
            [sys.executable, "-c", _RUN, str(tmp_path)],
            capture_output=True,
            text=True,
            check=True,
            timeout=180,
        )
        return done.stdout

    def written() -> list[Path]:
        return list(tmp_path.rglob(f"programs.{sys.implementation.cache_tag}"))

    first = run()
    deadline = time.monotonic() + 60
    while not written():
        # The process that made them writes them after the run has them.
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert made.exists()
    made.unlink()
    assert run() == first
    assert not made.exists()
