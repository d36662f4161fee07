# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-test in a core's own environment.

It has a home of its own and all Pythons of this machine. It downloads only what PyPI serves.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Mapping, Sequence

from ._commands import SetupError, run
from ._cores import dotted
from ._lint_setup import Workshop
from ._lock import locked
from ._made_pythons import every_python
from ._paths import CACHE, HOME, IN_COLLECTIONS, ROOT
from ._sources import copy_sources, make_repository, source_files
from ._system_packages import SHELLCHECK, try_to_install
from ._venvs import Venv

#: ansible-test resolves symbolic links, and then misses the folder ansible_collections: it gets a
#: copy.
COPY = CACHE / "sanity" / IN_COLLECTIONS

INTERPRETERS = CACHE / "interpreters"

#: ansible-test downloads get-pip.py from a server of its own and runs it as
#: `get-pip.py OPTION... PACKAGE==VERSION...`. It is not ensurepip.bootstrap(), which turns the
#: user's pip configuration off for the whole process.
GET_PIP = '''"""Stand-in for get-pip.py: installs pip.

pip is from this Python's own ensurepip, then the wanted versions are from the package index.
"""

import subprocess
import sys

packages = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
subprocess.check_call([sys.executable, "-m", "ensurepip"], stdout=subprocess.DEVNULL)
subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet"] + packages)
'''


SKIPPED = re.compile(
    r'Skipping sanity test "[^"]+" on Python ([0-9.]+) because it could not be found'
)

#: Lines that ansible-test and pip print while nothing is wrong.
NOISE = (
    "Running sanity test",
    "Installing requirements",
    "Using cached pip",
    "Looking in ",
    "Processing ",
    "Collecting ",
    "Downloading ",
    "Installing collected ",
    "Successfully installed ",
    "Using cached ",
    "\N{BOX DRAWINGS HEAVY HORIZONTAL}",
    "WARNING: Location ",
    "WARNING: Using locale ",
)


def sanity(workshop: Workshop) -> Sequence[str]:
    """Run all sanity tests. Notes name the Pythons that this machine lacks."""
    ignores = sorted(path.name for path in (ROOT / "tests" / "sanity").glob("ignore*"))
    if ignores:
        raise SetupError(
            f"tests/sanity holds {', '.join(ignores)}: what sanity tests find is mended, not "
            "ignored"
        )
    notes = try_to_install(SHELLCHECK)
    printed = ansible_test(workshop, "sanity")
    if 'Running sanity test "validate-modules"' not in printed:
        raise SetupError(f"{printed}\nansible-test ran no sanity tests")
    absent = list(dict.fromkeys(SKIPPED.findall(printed)))
    return [*notes, f"not on Python {', '.join(absent)}: not here"] if absent else notes


def units(workshop: Workshop) -> Sequence[str]:
    """Run the unit tests, on the Python of the chosen core, as others run those of collections."""
    printed = ansible_test(
        workshop,
        "units",
        # The tests of programs for hosts wait for most of their time.
        "--num-workers",
        "4",
        "--venv",
        "--requirements",
        "--python",
        dotted(workshop.ready.interpreter.version),
    )
    for world in ("module_utils", "controller"):
        if not re.search(
            rf"Unit test {world} with Python [0-9.]+\n(?s:.*?) [0-9]+ passed", printed
        ):
            raise SetupError(f"{printed}\nansible-test ran no unit tests of {world}")
    return ()


def ansible_test(workshop: Workshop, *words: str) -> str:
    """Run it on a copy of the tree, and return what it printed.

    It writes into the tree that it looks at, so it must not look at the snapshot.
    """
    with locked("sanity"):
        prepare_home(workshop.venv)
        copy_sources(source_files(), COPY)
        make_repository(COPY)
        try:
            return run(
                [workshop.venv.program("ansible-test"), *words, "--color", "no"],
                cwd=COPY,
                env=environment(workshop.venv),
            )
        except SetupError as error:
            raise SetupError(without_noise(str(error))) from None


def without_noise(printed: str) -> str:
    """Return the lines that a person has to read."""
    return "\n".join(
        line for line in printed.splitlines() if line.strip() and not line.strip().startswith(NOISE)
    )


def prepare_home(venv: Venv) -> None:
    """Make a home directory for ansible-test.

    It has the user's configuration of pip and the stand-in.
    """
    for name in (".config/pip", ".pip"):
        link, own = HOME / name, Path.home() / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if own.exists() and not link.is_symlink():
            link.symlink_to(own)
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in pip_versions(venv):
        path = cache / f"get_pip_{version.replace('.', '_')}.py"
        if not path.exists():
            path.write_text(GET_PIP, encoding="ascii")


def pip_versions(venv: Venv) -> Sequence[str]:
    """Return the versions that this ansible-test may ask for, as its own source names them."""
    sources = list(
        venv.path.glob("lib/python3*/site-packages/ansible_test/_internal/python_requirements.py")
    )
    versions = [
        version
        for source in sources
        for version in re.findall(r"\bpip='([0-9.]+)'", source.read_text(encoding="utf-8"))
    ]
    if not versions:
        raise SetupError(f"ansible-test in {venv.path} does not name the pip that it wants")
    return versions


def environment(venv: Venv) -> Mapping[str, str]:
    """Return the environment with a PATH that has python3.X for every Python that works.

    It has no other Pythons, such as pyenv's for a version that is not selected.
    """
    shutil.rmtree(str(INTERPRETERS), ignore_errors=True)
    INTERPRETERS.mkdir(parents=True)
    for version, one in every_python().items():
        (INTERPRETERS / f"python{dotted(version)}").symlink_to(one.path)
    folders = [
        str(venv.path / "bin"),
        str(INTERPRETERS),
        *(folder for folder in os.get_exec_path() if Path(folder).name != "shims"),
    ]
    return venv.environment(HOME=str(HOME), PATH=":".join(folders))
