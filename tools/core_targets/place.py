# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Throw-away hosts on which a target may change whatever it wants.

Each run of it has a new host.
"""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.support.hosts import Host, Lab, trees

from .verdict import Ending

#: Seconds after which a run of a target is ended, without another limit. The longest takes some
#: three minutes on an idle machine.
LONGEST = 1800.0

#: Seconds in which a process ends that nothing keeps, and seconds between two looks.
_LAST_BREATH, _PAUSE = 3.0, 0.1

#: The status that `timeout` has.
_TIMED_OUT = 124

#: Packages that targets need on a host that can't reach a package index.
_PACKAGES = (
    *(
        "acl",
        "bzip2",
        "cron",
        "dirmngr",
        "file",
        "gcc",
        "git",
        "gnupg",
        "iptables",
        "libc6-dev",
        "locales",
        "make",
        "net-tools",
        "openssh-client",
    ),
    *(
        "python3-apt",
        "python3-bcrypt",
        "python3-cryptography",
        "python3-debian",
        "python3-dev",
        "python3-httplib2",
        "python3-jinja2",
    ),
    *(
        "python3-packaging",
        "python3-paramiko",
        "python3-passlib",
        "python3-pexpect",
        "python3-pip",
        "python3-resolvelib",
    ),
    *("python3-setuptools", "python3-venv", "python3-virtualenv", "python3-wheel", "python3-yaml"),
    *("rsync", "rsyslog", "sshpass", "subversion", "unzip", "xz-utils", "zip", "zstd"),
)

#: Debian's own Python runs the target: a target may want modules that only Debian has, such as
#: apt's.
SUITES = {(3, 11): "bookworm", (3, 13): "trixie"}


class Way(Enum):
    """Way in which a target is run."""

    BARE = "bare"
    GUARDED = "guarded"


_COMPILE = """\
tree=$1 seen_as=$3
mount --bind "$2" "$tree/mnt"
shift 3
exec chroot "$tree" python3 -m compileall -q -j 2 -s /mnt -p "$seen_as" "$@"
"""


@dataclass(frozen=True)
class Place:
    """Parts of the hosts."""

    #: Unpacked sources of the core.
    source: Path
    #: Folder for ANSIBLE_COLLECTIONS_PATH that holds the collection.
    collections: Path
    #: Folder for pip.
    packages: Path
    #: Debian release.
    suite: str
    #: Seconds after which a run of a target is ended.
    longest: float = LONGEST

    def compile(self) -> None:
        """Compile once for all hosts, by their own Python.

        So each host begins without files that another one has written.
        """
        tree = trees.find_with_packages(self.suite, _PACKAGES)
        for folder, seen_as, parts in (
            (self.source, "/root/ansible", ("lib/ansible", "test/lib/ansible_test/_internal")),
            (self.collections, "/opt/collections", ("ansible_collections",)),
        ):
            # In a mount namespace of its own, so that nothing stays mounted in the tree. Some files
            # are wrong on purpose, so the status shows nothing.
            words = [
                "unshare",
                "--mount",
                "sh",
                "-euc",
                _COMPILE,
                "sh",
                str(tree),
                str(folder),
                seen_as,
                *(f"/mnt/{part}" for part in parts),
            ]
            subprocess.run(
                words,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def run(self, target: str, *ways: Way) -> list[Ending]:
        """Run the target in each of these ways at once, each on a new host."""
        binds = {
            str(self.source): "/opt/ansible",
            str(self.collections): "/opt/collections",
            str(self.packages): "/opt/packages",
            str(Path(__file__).parent): "/opt/core-targets",
        }
        with (
            Lab.up(count=len(ways), base=self.suite, packages=_PACKAGES, binds=binds) as lab,
            ThreadPoolExecutor(len(ways)) as pool,
        ):
            return list(
                pool.map(lambda host, way: _run(host, target, way, self.longest), lab, ways)
            )


def python_for(oldest: tuple[int, int], newest: tuple[int, int]) -> tuple[int, int]:
    """Return the newest Python of a Debian release that runs a core.

    The core needs one from `oldest` to `newest`.
    """
    return max(version for version in SUITES if oldest <= version <= newest)


def _run(host: Host, target: str, way: Way, longest: float) -> Ending:
    begin = time.monotonic()
    try:
        done = host.run(
            ["sh", "/opt/core-targets/on_host.sh", target, way.value], timeout=longest, check=False
        )
    except subprocess.TimeoutExpired as error:
        text = error.stdout or b""
        output = text if isinstance(text, str) else text.decode(errors="replace")
        return Ending(
            _TIMED_OUT,
            time.monotonic() - begin,
            f"{output}\nFAILED: no end within {longest:.0f} s",
            cut=True,
        )
    seconds = time.monotonic() - begin
    left = host.root / "run/core-targets"
    notes = Counter((left / "guarded").read_text().split())
    return Ending(
        done.returncode,
        seconds,
        done.stdout + done.stderr,
        notes,
        processor_seconds((left / "times").read_text()),
        _left_on(host),
    )


def _left_on(host: Host) -> tuple[str, ...]:
    """Return the processes there, after those that were ending have ended."""
    deadline = time.monotonic() + _LAST_BREATH
    while host.processes() and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    return tuple(sorted(process.command for process in host.processes()))


def processor_seconds(times: str) -> float:
    """Return the seconds that the children have used, from the output of the shell's `times`.

    It has a line for the shell and one for its children, each `0m1.23s 0m0.45s`.
    """
    pairs = (word.rstrip("s").split("m") for word in times.splitlines()[1].split())
    return sum(60 * int(minutes) + float(seconds) for minutes, seconds in pairs)
