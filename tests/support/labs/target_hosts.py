# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts of other systems than the usual one.

They have another Debian release, or another Python as their only one.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible.release import __version__

from tests.support.hosts import Host, Lab, trees
from tests.support.labs.lab_or_skip import lab_or_skip
from tools.environment._commands import SetupError
from tools.environment._cores import Version, core_named, dotted
from tools.environment._made_pythons import OLDEST_MADE, every_python, find_or_make

from . import become_hosts

#: What core's own wrapper around a module imports, and what is linked to libraries that a host may
#: lack.
_IMPORTS = (
    "import base64, hashlib, select, socket, sys, tempfile, zipfile, zlib; print('%d.%d' % "
    "sys.version_info[:2])"
)

#: Prints the prefix that a Python was built for. One that was made in .cache has another one.
_BUILT_FOR = (
    "import sysconfig; "
    "print(__import__(sysconfig._get_sysconfigdata_name()).build_time_vars['prefix'])"
)

#: Prefixes that hold the programs of the whole machine: a host can't get only a Python out of
#: these.
_SHARED = (Path("/usr"), Path("/usr/local"))


@contextmanager
def of_suite(suite: str) -> Iterator[Lab]:
    """Two hosts of that Debian release.

    sudo runs commands in a terminal of its own (`use_pty`) on the first, and does not on the
    second.
    """
    with lab_or_skip(2, base=suite) as two:
        if Path(two.spec.base) == trees.MACHINE_ROOT:
            pytest.skip(
                f"no tree of Debian {suite} could be made here: the output above has the reason"
            )
        become_hosts.prepare(two)
        yield two


@contextmanager
def with_python(version: Version) -> Iterator[Lab]:
    """A host that has this Python and no other."""
    prefix = _prefix(version)
    # At the path that it was built for: started by another name, it looks for its library there
    # only.
    with lab_or_skip(1, binds={str(prefix): str(prefix)}) as one:
        _give(one["web1"], version, prefix)
        yield one


def _prefix(version: Version) -> Path:
    """Return where that Python is on this machine.

    Skip the test if core does not support it, or if this machine lacks it.
    """
    core = core_named(dotted(tuple(int(part) for part in __version__.split(".")[:2])))
    if version < core.oldest_target:
        pytest.skip(f"{core} supports Python {dotted(core.oldest_target)} and later on hosts")
    try:
        # The oldest of them need libraries of their time: they are not made.
        found = find_or_make(version) if version >= OLDEST_MADE else every_python().get(version)
    except SetupError as error:
        pytest.skip(str(error))
    if found is None:
        pytest.skip(f"this machine has no Python {dotted(version)}, neither of pyenv nor on PATH")
    prefix = Path(_asked(found.path, "import sys; print(sys.base_prefix)"))
    if prefix in _SHARED:
        pytest.skip(
            f"Python {dotted(version)} has no directory of its own to be given to a host, it is "
            f"in {prefix}"
        )
    return prefix


def _asked(python: str, program: str) -> str:
    """Return what a Python of this machine prints."""
    return subprocess.run(
        [python, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    ).stdout.strip()


def _give(host: Host, version: Version, prefix: Path) -> None:
    host.hide_python()
    # A user's home may be a part of the path.
    for parent in [*prefix.parents][:-1]:
        host.run(["chmod", "a+x", str(parent)])
    (host.root / "usr/bin/python3").symlink_to(prefix / f"bin/python{dotted(version)}")
    built_for = Path(_asked(str(prefix / f"bin/python{dotted(version)}"), _BUILT_FOR))
    if built_for != prefix:
        # Started by another name, as some processes of the tree are, it looks for its library where
        # it was built for.
        library = host.root / built_for.relative_to("/") / f"lib/python{dotted(version)}"
        library.parent.mkdir(parents=True, exist_ok=True)
        library.symlink_to(prefix / f"lib/python{dotted(version)}")
    answers = host.ssh(f'for become in "" "sudo -n"; do $become python3 -c "{_IMPORTS}"; done')
    if answers.returncode:
        pytest.skip(
            f"Python {dotted(version)} of this machine does not run on a host: "
            f"{answers.stderr.strip()[-200:]}"
        )
    assert answers.stdout.split() == [dotted(version)] * 2, answers.stdout
    assert sorted(path.name for path in host.root.glob("usr/bin/python*")) == ["python3"]
