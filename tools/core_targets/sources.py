# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sources of the targets, and packages that they install, in the cache of the clone.

They are the core's source distribution, and packages of Python.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from tools.environment._paths import CACHE

#: Programs in bin, as links: a repository of ansible-core has them, and its source distribution
#: lacks them.
_CLI = {
    "ansible": "adhoc",
    **{
        f"ansible-{name}": name
        for name in ("config", "console", "doc", "galaxy", "inventory", "playbook", "pull", "vault")
    },
}
_STUBS = {
    "ansible-test": "test/lib/ansible_test/_util/target/cli/ansible_test_cli_stub.py",
    # of older cores
    "ansible-connection": "lib/ansible/cli/scripts/ansible_connection_cli_stub.py",
}

#: What targets install by pip for the host's Python, and what these packages need.
_WHEELS = (
    "coverage",
    "passlib",
    "pexpect==4.8.0",
    "psutil",
    "ptyprocess",
    "setuptools",
    "toml",
    "wheel",
)
#: Packages of which only sources exist.
_ARCHIVES = ("pexpect==3.0", "pexpect==3.3")

_FOLDER = CACHE / "core-targets"


def unpacked(release: str) -> Path:
    """Return the sources of that release, such as 2.21.5."""
    folder = _FOLDER / release
    if not folder.is_dir():
        partial = folder.with_name(f"{release}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        with tarfile.open(_fetch(release, partial)) as archive:
            archive.extractall(partial, filter="data")
        (source,) = (path for path in partial.iterdir() if path.is_dir())
        _add_programs(source)
        source.rename(folder)
        shutil.rmtree(partial)
    return folder


def _fetch(release: str, into: Path) -> Path:
    """Fetch the archive from the package index that pip is set to use."""
    _download(into, "--no-binary", ":all:", f"ansible-core=={release}")
    (archive,) = into.glob("*.tar.gz")
    return archive


def packages(python: tuple[int, int]) -> Path:
    """Return a folder for `pip --find-links` on hosts with that Python.

    These hosts can't reach a package index.
    """
    version = ".".join(map(str, python))
    folder = _FOLDER / f"packages-{version}"
    if not folder.is_dir():
        partial = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        _download(partial, "--only-binary", ":all:", "--python-version", version, *_WHEELS)
        for archive in _ARCHIVES:
            _download(partial, "--no-binary", ":all:", archive)
        partial.rename(folder)
    return folder


def _download(into: Path, *words: str) -> None:
    argv = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(into),
        *words,
    ]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)


def _add_programs(source: Path) -> None:
    """Add the programs.

    The archives of older cores have them, but as copies.
    """
    shutil.rmtree(source / "bin", ignore_errors=True)
    (source / "bin").mkdir()
    files = {**{name: f"lib/ansible/cli/{module}.py" for name, module in _CLI.items()}, **_STUBS}
    for program, file in files.items():
        if (source / file).exists():
            (source / "bin" / program).symlink_to(f"../{file}")
            (source / file).chmod(0o755)


def installed_release() -> str:
    """Return the release of ansible-core in this environment."""
    from ansible.release import __version__  # noqa: PLC0415  # not needed by the pure parts

    found = re.fullmatch(r"\d+\.\d+\.\d+\S*", __version__)
    if not found:
        raise ValueError(f"{__version__!r} is no release of ansible-core")
    return __version__
