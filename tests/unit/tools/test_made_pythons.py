# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Python that was asked for and is not here is made, or the error has each reason."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.environment import _debian_python, _made_pythons, _setup
from tools.environment._commands import SetupError
from tools.environment._interpreters import Interpreter

HERE = sys.version_info[:2]
MISSING = (3, 99)


@pytest.fixture(autouse=True)
def no_python_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(_made_pythons, "interpreters", dict)
    monkeypatch.setattr(_setup, "interpreters", dict)
    monkeypatch.setattr(_made_pythons, "PYTHONS", tmp_path / "pythons")
    _made_pythons.all_made.cache_clear()
    yield
    _made_pythons.all_made.cache_clear()


def works(version: tuple[int, int], prefix: Path) -> None:
    """Make the Python of these tests, whatever was asked for."""
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "python3").symlink_to(sys.executable)


def leaves_half(version: tuple[int, int], prefix: Path) -> None:
    (prefix / "bin").mkdir(parents=True)
    raise SetupError("the network is gone")


def crashes(version: tuple[int, int], prefix: Path) -> None:
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "python3").write_text("#!/bin/sh\nkill -SEGV $$\n")
    (prefix / "bin" / "python3").chmod(0o755)


def test_the_next_way_is_tried_after_one_that_failed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        _made_pythons, "WAYS", {"first": leaves_half, "second": crashes, "third": works}
    )
    made = _made_pythons.find_or_make(HERE)
    assert made.version == HERE
    assert _made_pythons.every_python() == {HERE: made}
    monkeypatch.setattr(_made_pythons, "WAYS", {})
    assert _made_pythons.find_or_make(HERE) == made, "it is made once"


def test_the_error_has_the_reason_of_each_way(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_made_pythons, "WAYS", {"first": leaves_half, "second": crashes})
    with pytest.raises(SetupError) as caught:
        _made_pythons.find_or_make(MISSING)
    assert str(caught.value).splitlines() == [
        "Python 3.99 is not here and could not be made:",
        "first: the network is gone",
        "second: it does not run on this machine",
    ]
    assert not (_made_pythons.PYTHONS / "3.99").exists()


def test_a_python_of_another_version_is_no_success(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_made_pythons, "WAYS", {"only": works})
    with pytest.raises(SetupError, match="only: it does not run on this machine"):
        _made_pythons.find_or_make(MISSING)


def test_one_that_is_here_is_not_made(monkeypatch: pytest.MonkeyPatch):
    one = Interpreter("/usr/bin/python3.99", (*MISSING, 0), True)
    monkeypatch.setattr(_made_pythons, "interpreters", lambda: {MISSING: one})
    monkeypatch.setattr(_made_pythons, "WAYS", {})
    assert _made_pythons.find_or_make(MISSING) == one


def test_only_a_command_that_asks_for_it_takes_it(monkeypatch: pytest.MonkeyPatch):
    """Otherwise the default would depend on what was asked for before."""
    monkeypatch.setattr(_made_pythons, "WAYS", {"only": works})
    made = _made_pythons.find_or_make(HERE)
    assert _setup.only(f"{HERE[0]}.{HERE[1]}") == {HERE: made}
    assert _setup.only(None) == {}


def test_a_python_that_the_wanted_core_does_not_run_on_is_not_made(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(_made_pythons, "WAYS", {})
    _setup.make_missing("2.22", "3.9")
    _setup.make_missing(None, "3.9")
    for core in ("2.22", None):
        with pytest.raises(SetupError, match=r"Python 3\.15 is not here and could not be made"):
            _setup.make_missing(core, "3.15")


@pytest.mark.parametrize(
    ("file", "line", "expected"),
    [
        (
            "sources.list",
            "deb [signed-by=/x.gpg] http://mirror.example.com/debian bookworm main",
            "http://mirror.example.com/debian",
        ),
        (
            "sources.list.d/debian.sources",
            "Types: deb\nURIs: http://mirror.example.com/debian/\nSuites: bookworm",
            "http://mirror.example.com/debian/",
        ),
        (
            "sources.list",
            "deb http://mirror.example.com/ubuntu noble main",
            "http://deb.debian.org/debian",
        ),
    ],
)
def test_the_mirror_is_that_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, line: str, expected: str
):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(f"{line}\n")
    monkeypatch.setattr(_debian_python, "APT", tmp_path)
    assert _debian_python.mirror() == expected


def test_a_machine_without_apt_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="only a Debian .* apt-get is missing"):
        _debian_python.make(MISSING, tmp_path / "prefix")


def test_the_python_of_these_tests_makes_environments_if_it_was_made(tmp_path: Path):
    """It has its libraries and pip below its own prefix, wherever that is."""
    base = Path(sys.base_prefix)
    if base.parent.name != "pythons":
        pytest.skip(f"Python {HERE[0]}.{HERE[1]} of this machine runs these tests: none was made")
    subprocess.run(
        [f"{base}/bin/python3", "-m", "venv", tmp_path / "venv"], check=True, capture_output=True
    )
    program = tmp_path / "venv" / "bin" / "python"
    loaded = "import ssl, sqlite3, ctypes, pip; print(open('/proc/self/maps').read())"
    maps = subprocess.run(
        [program, "-c", loaded], check=True, capture_output=True, text=True
    ).stdout
    libraries = {line.split()[-1] for line in maps.splitlines() if ".so" in line}
    assert any("libc.so" in path for path in libraries)
    assert {path for path in libraries if not path.startswith(f"{base}/")} == set()
