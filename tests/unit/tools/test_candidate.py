# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A core without a release is tested by its candidate, and by its release when it is there.

pip is the real one. The packages are empty wheels in a folder.
"""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest

from tools.environment import _venvs
from tools.environment._commands import SetupError, run
from tools.environment._cores import CORES, Core
from tools.environment._interpreters import probe

COMING = Core("2.22", ((3, 13), (3, 15)), (3, 9), released=False)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, as the only index of pip."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(_venvs, "VENVS", tmp_path / "venvs")
    monkeypatch.setattr(_venvs, "REQUIREMENTS", tmp_path)
    (tmp_path / "none.txt").write_text("")
    return folder


def publish(index: Path, version: str) -> None:
    name = f"ansible_core-{version}"
    with zipfile.ZipFile(index / f"{name}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            f"{name}.dist-info/METADATA",
            f"Metadata-Version: 2.1\nName: ansible-core\nVersion: {version}\n",
        )
        wheel.writestr(
            f"{name}.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: none\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{name}.dist-info/RECORD", "")


def installed(core: Core) -> str:
    own = probe(sys.executable)
    assert own is not None
    venv = _venvs.ensure("core", own, core, "none.txt")
    code = "from importlib.metadata import version; print(version('ansible-core'))"
    return run([venv.python, "-c", code]).strip()


def one_day_later(folder: Path) -> None:
    stamp = folder / "venvs" / "core" / "complete"
    before = stamp.stat().st_mtime - _venvs.CANDIDATE_SECONDS
    os.utime(stamp, (before, before))


def test_a_candidate_is_taken_until_there_is_a_release(index: Path, tmp_path: Path):
    publish(index, "2.22.0b1")
    publish(index, "2.22.0rc1")
    assert installed(COMING) == "2.22.0rc1"
    one_day_later(tmp_path)
    assert installed(COMING) == "2.22.0rc1", "there is no release yet"
    publish(index, "2.22.0")
    publish(index, "2.22.1rc1")
    assert installed(COMING) == "2.22.0rc1", "it is looked for once a day"
    one_day_later(tmp_path)
    assert installed(COMING) == "2.22.0"


def test_a_release_is_taken_at_once_if_there_is_one(index: Path):
    publish(index, "2.22.0rc1")
    publish(index, "2.22.0")
    publish(index, "2.22.1rc1")
    publish(index, "2.23.0")
    assert installed(COMING) == "2.22.0"


def test_no_candidate_is_taken_for_a_core_that_has_a_release(index: Path):
    publish(index, "2.21.0rc1")
    with pytest.raises(SetupError, match="No matching distribution found for ansible-core"):
        installed(CORES["2.21"])
