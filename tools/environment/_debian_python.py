# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Python of Debian unstable with its own C library, in a folder.

It runs on any Debian, however old. Nothing is installed: apt-get downloads the packages and checks
their signatures, with settings and lists of its own. It needs no root.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Sequence

from ._commands import SetupError, run
from ._cores import Version, dotted

#: The release that has the newest Pythons.
SUITE = "sid"
APT = Path("/etc/apt")
_DEFAULT_MIRROR = "http://deb.debian.org/debian"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def mirror() -> str:
    """Return the Debian mirror that this machine's apt uses; Debian's own if it names none."""
    sources = [
        APT / "sources.list",
        *sorted(APT.glob("sources.list.d/*.list")),
        *sorted(APT.glob("sources.list.d/*.sources")),
    ]
    for source in sources:
        try:
            text = source.read_text(encoding="utf-8")
        except OSError:
            continue
        # One-line format, `deb [options] URI suite`, and deb822, `URIs: URI`.
        for uri in re.findall(
            r"^(?:deb\s+(?:\[[^]]*\]\s+)?|URIs:\s*)(https?://\S+)", text, re.MULTILINE
        ):
            if uri.rstrip("/").endswith("/debian"):
                return str(uri)
    return _DEFAULT_MIRROR


def make(version: Version, prefix: Path) -> Path:
    """Make `prefix`, and return the interpreter in it. Raises SetupError."""
    programs = [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]
    missing = [*programs, *(str(path) for path in (_KEYRING,) if not path.exists())]
    if missing:
        raise SetupError(f"only a Debian can download it from Debian: {missing[0]} is missing")
    work = prefix.with_name(f"{prefix.name}.unfinished")
    shutil.rmtree(str(work), ignore_errors=True)
    try:
        tree = work / "tree"
        tree.mkdir(parents=True)
        for package in _download(version, work):
            run(["dpkg-deb", "--extract", package, tree])
        _lead_to(tree / "usr", prefix, version)
        (tree / "usr").rename(prefix)
    finally:
        shutil.rmtree(str(work), ignore_errors=True)
    python = prefix / "bin" / f"python{dotted(version)}"
    # The packages do this when they are installed. Without it, each start takes several times as
    # long on a host, which can't write into the folder.
    run([python, "-m", "compileall", "-q", prefix / "lib" / f"python{dotted(version)}"])
    return python


def _download(version: Version, work: Path) -> Sequence[Path]:
    """Download its packages, and all that they depend on: nothing counts as installed."""
    for folder in ("etc/apt.conf.d", "etc/preferences.d", "lists/partial", "archives/partial"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    (work / "etc" / "sources.list").write_text(
        f"deb [signed-by={_KEYRING}] {mirror()} {SUITE} main\n", encoding="utf-8"
    )
    settings = {
        "Dir::Etc": work / "etc",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": work,
        "Dir::State::status": work / "status",
        "Dir::Cache": work,
        # Its own user could not write below the home of another one.
        "APT::Sandbox::User": "root",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    name = f"python{dotted(version)}"
    wanted = [name, f"{name}-venv", "patchelf"]
    run(["apt-get", "--quiet", *options, "update"])
    run(
        [
            *("apt-get", "--quiet", "--yes", "--no-install-recommends", "--download-only"),
            *(*options, "install", *wanted),
        ]
    )
    return sorted((work / "archives").glob("*.deb"))


def _lead_to(usr: Path, prefix: Path, version: Version) -> None:
    """Let a tree that was made for /usr find its own loader, libraries and wheels in `prefix`."""
    (loader,) = sorted(usr.glob("lib/*/ld-linux*.so.*"))
    libraries = loader.parent.relative_to(usr)
    program = usr / "bin" / f"python{dotted(version)}"
    patchelf = (loader, "--library-path", loader.parent, usr / "bin" / "patchelf")
    # In this order: patchelf 0.18 makes a program that crashes of the other one. It has no RUNPATH:
    # that would not lead the libraries of a library.
    run([*patchelf, "--force-rpath", "--set-rpath", prefix / libraries, program])
    run([*patchelf, "--set-interpreter", prefix / loader.relative_to(usr), program])
    for path in usr.glob(f"lib/python{dotted(version)}/_sysconfigdata_*.py"):
        text = path.read_text(encoding="utf-8")
        path.unlink()  # several may be one file
        path.write_text(
            text.replace("/usr/share/python-wheels", f"{prefix}/share/python-wheels"),
            encoding="utf-8",
        )
    (usr / "bin" / "python3").symlink_to(program.name)
    for name in os.listdir(str(usr / "bin")):
        if not name.startswith("python"):
            (usr / "bin" / name).unlink()
