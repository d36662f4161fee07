# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Search for secrets, in every process of the machine during a run, and in every file afterwards.

The hosts are namespaces of this machine, so its process table holds all of theirs as well.
"""

from __future__ import annotations

import base64
import mmap
import os
import signal
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.run.waiting import until

_COUNT = struct.Struct("=Q")

#: Files longer than this are no logs of a test.
_LONGEST_FILE = 64 * 1024 * 1024


def needles(secrets: Mapping[str, str]) -> dict[bytes, str]:
    """Return what to look for, and which secret that is.

    It is the secret itself, and what base64 makes of it within a longer text.
    """
    found = {}
    for name, secret in secrets.items():
        found[secret.encode()] = name
        for offset in range(3):
            # The first and the last characters depend on what is beside it.
            found[
                base64.b64encode(b"\0" * offset + secret.encode())[4 if offset else 0 : -4].rstrip(
                    b"="
                )
            ] = f"{name} in base64"
    return found


@dataclass
class Sampler:
    """A process that reads arguments and environments of all others.

    It does so pass after pass, as fast as it can.
    """

    _passes: mmap.mmap
    _findings: int  #: descriptor of a file without a name

    @property
    def passes(self) -> int:
        """Return the number of passes that it has finished."""
        return int(_COUNT.unpack_from(self._passes)[0])

    def look_at_all(self) -> None:
        """Return when a pass has ended that began after this call.

        So every process that lives throughout was looked at.
        """
        begun = self.passes
        # The pass that is under way may have passed a process already.
        until(lambda: self.passes >= begun + 2, 60, "the sampler does not come round")

    @property
    def findings(self) -> set[str]:
        """Return its findings so far."""
        return set(os.pread(self._findings, 1 << 20, 0).decode(errors="replace").splitlines())


@contextmanager
def sampler(secrets: Mapping[str, str]) -> Iterator[Sampler]:
    """Sample for as long as the block lasts."""
    one = Sampler(mmap.mmap(-1, _COUNT.size), os.memfd_create("findings"))
    child = os.fork()
    if child == 0:
        _sample(one, needles(secrets))
    try:
        one.look_at_all()
        yield one
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(one._findings)


def _sample(sampler: Sampler, wanted: Mapping[bytes, str]) -> None:
    try:
        parent = os.getppid()
        while os.getppid() == parent:
            for pid in filter(str.isdigit, os.listdir("/proc")):
                for place in ("cmdline", "environ"):
                    _look(sampler, f"/proc/{pid}/{place}", wanted)
            _COUNT.pack_into(sampler._passes, 0, sampler.passes + 1)
    finally:
        os._exit(1)


def _look(sampler: Sampler, path: str, wanted: Mapping[bytes, str]) -> None:
    try:
        with open(path, "rb", buffering=0) as file:
            content = file.readall() or b""
    except OSError:
        return  # It has ended, or was just beginning.
    for needle, name in wanted.items():
        if needle in content:
            words = (
                content.replace(needle, b"<" + name.encode() + b">")
                .replace(b"\0", b" ")
                .replace(b"\n", b" ")
            )
            os.write(sampler._findings, f"{name} in {path}: ".encode() + words[:300] + b"\n")


def in_files(
    secrets: Mapping[str, str], below: Iterable[Path], but: Iterable[Path] = ()
) -> set[str]:
    """Return which secret stands in which file, or in the name of one."""
    wanted, allowed, found = needles(secrets), set(but), set()
    for top in below:
        for directory, dummy, names in os.walk(top):
            for path in (Path(directory, name) for name in names):
                if path not in allowed:
                    found |= {
                        f"{name} in {path}"
                        for needle, name in wanted.items()
                        if needle in os.fsencode(path) or needle in _content(path)
                    }
    return found


def _content(path: Path) -> bytes:
    try:
        # Devices and pipes have no end.
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _LONGEST_FILE:
            return b""
        return path.read_bytes()
    except OSError:
        return b""  # It is gone meanwhile.
