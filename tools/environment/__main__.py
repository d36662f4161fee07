# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands that the Makefile names, each of which sets up what it needs."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from typing import Callable, Sequence

from . import _all, _changelog, _collection, _docsite, _lint, _tests
from ._clean import clean
from ._commands import SetupError, say
from ._cores import CORES, core_named
from ._interpreters import interpreter_for, interpreters
from ._lint_setup import workshop
from ._lock import locked
from ._paths import ROOT
from ._setup import make_ready

#: Cores whose runs are beside those of the chosen one: the oldest, and the first that lets a worker
#: die of a signal at once.
OF_ENDURANCE = ("2.16", "2.19")


def main() -> int:
    """Parse, run, and turn errors that a user can act on into one message."""
    options = parse(sys.argv[1:])
    try:
        return COMMANDS[options.command](options)
    except SetupError as error:
        say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments.

    What follows ``--`` belongs to pytest, the demo or the benchmark: argparse must not see it.
    """
    end = words.index("--") if "--" in words else len(words)
    top = argparse.ArgumentParser(prog="python3 -m tools.environment", description=__doc__)
    top.add_argument("command", choices=sorted(COMMANDS))
    top.add_argument("gates", nargs="*", metavar="gate", help="for lint: `list` names them")
    top.add_argument(
        "--core",
        metavar="X.Y",
        help=f"one of {', '.join(CORES)}; default: the newest release that can run here",
    )
    top.add_argument(
        "--python", metavar="X.Y", help="that it runs on; default: the newest here that it supports"
    )
    options = top.parse_intermixed_args(words[:end])
    options.arguments = words[end + 1 :]
    return options


def build(options: argparse.Namespace) -> int:
    """Print the tarball's path."""
    ready = make_ready(options.core, options.python)
    with locked():
        print(_collection.build(ready.venv))
    return 0


def install(options: argparse.Namespace) -> int:
    """Print the path for ANSIBLE_COLLECTIONS_PATH."""
    ready = make_ready(options.core, options.python)
    with locked():
        print(_collection.install(ready.venv))
    return 0


def venv(options: argparse.Namespace) -> int:
    """Print the virtual environment's path."""
    print(make_ready(options.core, options.python).venv.path)
    return 0


def one_suite(options: argparse.Namespace) -> int:
    """Run unit tests, timing tests, integration tests or molecule scenarios."""
    return _tests.suite(
        options.command, make_ready(options.core, options.python), options.arguments
    )


def coverage(options: argparse.Namespace) -> int:
    """Run every row, and make the table of them."""
    return _tests.coverage(make_ready(options.core, options.python), options.arguments)


def test(options: argparse.Namespace) -> int:
    """Run lint and all suites on one core."""
    return _all.test(make_ready(options.core, options.python), (), options.arguments)


def test_all_cores(options: argparse.Namespace) -> int:
    """Do what `test` does on every core that runs here."""
    make_ready(None)
    return _all.test_all_cores(options.arguments)


def program(options: argparse.Namespace) -> int:
    """Run the demo, the benchmark, the screenshot or the targets of core."""
    return _tests.program(
        options.command, make_ready(options.core, options.python), options.arguments
    )


def endurance(options: argparse.Namespace) -> int:
    """Play rounds on that core, and on the others of `OF_ENDURANCE` that can run here."""
    ready = make_ready(options.core, options.python)
    others = [
        make_ready(version)
        for version in OF_ENDURANCE
        if version != ready.core.version
        and interpreter_for(core_named(version), interpreters()) is not None
    ]
    return _tests.endurance(ready, others, options.arguments)


def lint(options: argparse.Namespace) -> int:
    """Run the named gates, or all. ``list`` names them."""
    if options.gates == ["list"]:
        _lint.names()
        return 0
    return _lint.lint(make_ready(options.core, options.python), options.gates)


def docs(options: argparse.Namespace) -> int:
    """Print the path of the site's first page."""
    ready = make_ready(options.core, options.python)
    _docsite.write_options_page(ready)
    print(_docsite.publish(workshop(ready)))
    return 0


def format_sources(options: argparse.Namespace) -> int:
    """Format the layout and the order of imports, and fix what else ruff can fix."""
    lint_venv = workshop(make_ready(options.core, options.python)).lint
    ruff = str(lint_venv.program("ruff"))
    fixed = subprocess.run(
        [ruff, "check", "--fix", "--output-format", "concise"], cwd=str(ROOT), check=False
    )
    subprocess.run([ruff, "format"], cwd=str(ROOT), check=True)
    return fixed.returncode


def changelog(options: argparse.Namespace) -> int:
    """Write the entry for the version in galaxy.yml."""
    _changelog.write(workshop(make_ready(options.core, options.python)))
    return 0


def remove(dummy: argparse.Namespace) -> int:
    """Remove what the other commands created."""
    clean()
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "bench": program,
    "build": build,
    "changelog": changelog,
    "clean": remove,
    "core-tests": program,
    "coverage": coverage,
    "demo": program,
    "docs": docs,
    "endurance": endurance,
    "format": format_sources,
    "install": install,
    "integration": one_suite,
    "lint": lint,
    "molecule": one_suite,
    "screenshot": program,
    "test": test,
    "test-all-cores": test_all_cores,
    "timing": one_suite,
    "unit": one_suite,
    "venv": venv,
}

if __name__ == "__main__":
    sys.exit(main())
