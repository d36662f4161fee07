# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate for module_utils and modules on the oldest Python of hosts.

They are compiled, imported, and unit-tested there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

from . import _venvs
from ._commands import SetupError, clean_environment, run
from ._cores import CORES, Version, dotted
from ._interpreters import Interpreter, interpreters
from ._lint_setup import Workshop
from ._lock import locked
from ._paths import CACHE, IMPORTABLE, IN_COLLECTIONS, ROOT
from ._venvs import Venv

OLDEST: Version = min(core.oldest_target for core in CORES.values())
PLUGINS = ROOT / "plugins"
TESTS = ROOT / "tests" / "unit" / "plugins" / "module_utils"

#: The core whose module_utils still run on OLDEST. It is unpacked and not installed: no other part
#: of it runs there.
CORE = next(core for core in CORES.values() if core.oldest_target == OLDEST)
ANSIBLE = CACHE / f"ansible-{CORE.version}"

COMPILE = (
    "import sys\nfor path in sys.argv[1:]:\n    compile(open(path, 'rb').read(), path, 'exec')"
)
IMPORT = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)"


def check(workshop: Workshop) -> Sequence[str]:
    """Do all of it on OLDEST. If that is missing, compile with the oldest here, and report it."""
    files = sorted(
        path for world in ("module_utils", "modules") for path in (PLUGINS / world).rglob("*.py")
    )
    if not files:
        raise SetupError("nothing to check: no file in plugins/module_utils and plugins/modules")
    oldest = min(
        (one for one in interpreters().values() if one.version >= OLDEST),
        key=lambda one: one.version,
    )
    run([oldest.path, "-c", COMPILE, *files])
    if oldest.version != OLDEST:
        return [
            (
                f"compiled by Python {dotted(oldest.version)}; neither imported nor tested by "
                f"Python {dotted(OLDEST)}, which is not here"
            )
        ]
    venv = old_venv(workshop.lint, oldest)
    import_all(venv)
    test_all(venv)
    return ()


def old_venv(pip_owner: Venv, oldest: Interpreter) -> Venv:
    """Return an environment with pytest.

    A younger pip unpacks ansible.module_utils beside it: the pip in it refuses ansible-core.
    """
    with locked():
        if not ANSIBLE.exists():
            unfinished = ANSIBLE.with_suffix(".unfinished")
            run(
                [
                    *_venvs.pip_install(pip_owner),
                    "--no-deps",
                    "--ignore-requires-python",
                    "--only-binary",
                    ":all:",
                    "--target",
                    unfinished,
                    CORE.requirement,
                ]
            )
            unfinished.rename(ANSIBLE)
        return _venvs.old_host_venv(oldest)


def import_all(venv: Venv) -> None:
    """Import every file of module_utils under the name that modules use."""
    names = [
        dotted_name(path)
        for path in sorted((PLUGINS / "module_utils").rglob("*.py"))
        if path.name != "__init__.py"
    ]
    run(
        [venv.python, "-W", "error", "-c", IMPORT, *names],
        env=clean_environment(PYTHONPATH=f"{IMPORTABLE}:{ANSIBLE}"),
    )


def test_all(venv: Venv) -> None:
    """Run their unit tests, which must run on OLDEST too."""
    if not TESTS.is_dir():
        raise SetupError(f"no unit tests of module_utils: {TESTS.relative_to(ROOT)} is not there")
    # The plugin of pyproject.toml is too young for it.
    options = [
        "-q",
        "-o",
        "addopts=--strict-markers --import-mode=importlib",
        "--confcutdir",
        TESTS,
    ]
    run(
        [venv.python, "-m", "pytest", *options, TESTS],
        cwd=ROOT,
        env=clean_environment(PYTHONPATH=str(ANSIBLE)),
    )


def dotted_name(path: Path) -> str:
    """Return a name such as ansible_collections.treekill.remote.plugins.module_utils._x."""
    return ".".join((*IN_COLLECTIONS.parts, *path.relative_to(ROOT).with_suffix("").parts))
