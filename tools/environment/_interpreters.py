# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Pythons of this machine, and the one that runs a given ansible-core."""

from __future__ import annotations

import glob
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Iterable, Iterator, Mapping, Sequence

from ._commands import SetupError, clean_environment, say_once
from ._cores import CORES, Core, Version, core_named, dotted

#: Debian keeps ensurepip in a package of its own. Without it there is no virtual environment.
PROBE = """
import sys
try:
    import ensurepip, venv
    able = 1
except ImportError:
    able = 0
base = getattr(sys, "_base_executable", None) or sys.executable
print(sys.version_info[0], sys.version_info[1], sys.version_info[2], able, base)
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python that was started and answered."""

    path: str
    release: tuple[int, int, int]
    makes_venvs: bool

    @property
    def version(self) -> Version:
        """Major and minor version."""
        return self.release[:2]

    def __str__(self) -> str:
        return f"Python {'.'.join(str(part) for part in self.release)} ({self.path})"


def probe(path: str) -> Interpreter | None:
    """Start it and ask. Return None for a program that does not run."""
    try:
        done = subprocess.run(
            [path, "-c", PROBE],
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        return None
    words = done.stdout.decode(errors="replace").split(None, 4)
    if done.returncode or len(words) != 5:
        return None
    major, minor, micro, able, executable = words
    return Interpreter(executable.strip(), (int(major), int(minor), int(micro)), able == "1")


def candidates() -> Iterator[str]:
    """Return paths worth a probe.

    They are this interpreter, python3.X everywhere on PATH, and pyenv's versions.
    """
    yield sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"))
    # glob.glob passes over what this user may not read: PYENV_ROOT may be that of another user.
    yield from sorted(glob.glob(f"{glob.escape(str(pyenv))}/versions/3.*/bin/python"))
    name = re.compile(r"python3(\.[0-9]+)?")
    for folder in os.get_exec_path():
        if Path(folder) == pyenv / "shims":
            continue  # slow ways to the versions above
        try:
            found = sorted(entry for entry in os.listdir(folder) if name.fullmatch(entry))
        except OSError:
            continue  # PATH may name folders that do not exist
        yield from (os.path.join(folder, entry) for entry in found)


def newest_of_each(interpreters: Iterable[Interpreter]) -> dict[Version, Interpreter]:
    """Return one interpreter for each minor version.

    One that makes virtual environments is preferred, then the latest release.
    """
    best: dict[Version, Interpreter] = {}
    for one in interpreters:
        rival = best.get(one.version)
        if rival is None or (one.makes_venvs, one.release) > (rival.makes_venvs, rival.release):
            best[one.version] = one
    return best


@lru_cache(maxsize=None)
def interpreters() -> Mapping[Version, Interpreter]:
    """Return the Pythons of this machine by minor version."""
    paths = list(dict.fromkeys(candidates()))
    return newest_of_each(found for found in map(probe, paths) if found)


def forget_interpreters() -> None:
    """Look again at the next call: packages were installed."""
    interpreters.cache_clear()


def interpreter_for(core: Core, available: Mapping[Version, Interpreter]) -> Interpreter | None:
    """Return the newest Python that runs this core and makes virtual environments, or None."""
    suited = [
        one for version, one in available.items() if core.runs_on(version) and one.makes_venvs
    ]
    return max(suited, key=lambda one: one.release, default=None)


def reason_missing(core: Core, available: Mapping[Version, Interpreter]) -> str:
    """Return why a core can't run here, in words for the output."""
    have = (
        ", ".join(
            dotted(version) for version in sorted(available) if available[version].makes_venvs
        )
        or "none"
    )
    return (
        f"{core} needs Python {dotted(core.python[0])} to {dotted(core.python[1])}; with venv and "
        f"ensurepip here: {have}"
    )


def choose(
    wanted: str | None, available: Mapping[Version, Interpreter]
) -> tuple[Core, Interpreter]:
    """Return the wanted core, or the newest that runs here, with its Python.

    One without a release is chosen if it is wanted, or if no other one runs here.

    Raises SetupError that names what is missing.
    """
    if wanted:
        core = core_named(wanted)
        found = interpreter_for(core, available)
        if found is None:
            raise SetupError(reason_missing(core, available))
        return core, found
    passed_over: Sequence[Core] = ()
    newest_first = [*reversed(list(CORES.values()))]
    for core in sorted(newest_first, key=lambda core: not core.released):
        found = interpreter_for(core, available)
        if found:
            if passed_over:
                say_once(f"using {core}: {reason_missing(passed_over[0], available)}")
            return core, found
        passed_over = (*passed_over, core)
    raise SetupError(
        "no supported ansible-core runs here: " + reason_missing(passed_over[-1], available)
    )
