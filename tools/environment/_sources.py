# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of the collection as git lists them, also on a dirty tree.

Some programs need them under another path.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import Sequence

from ._commands import run
from ._paths import IMPORTABLE, IN_COLLECTIONS, ROOT, SNAPSHOTS

#: Seconds after its last use for which a snapshot stays: longer than any run of tests that was
#: started in it.
KEEP = 3 * 60 * 60


def source_files() -> Sequence[str]:
    """Return the sorted paths of all files that are tracked or could be.

    They are relative to the repository.
    """
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT)
    # git still lists a tracked file that was removed in the working tree.
    return sorted(
        path for path in set(listed.split("\0")) if path and os.path.lexists(str(ROOT / path))
    )


def digest(folder: Path, paths: Sequence[str]) -> str:
    """Return a name for exactly this content. It changes with any path, mode or byte."""
    total = hashlib.sha256()
    for path in paths:
        file = folder / path
        content = os.readlink(str(file)).encode() if file.is_symlink() else file.read_bytes()
        total.update(f"{path}\0{file.lstat().st_mode:o}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:16]


def copy_sources(paths: Sequence[str], target: Path) -> None:
    """Make ``target`` hold these files and no others.

    Unchanged files keep their inode, so that caches of linters hold.
    """
    wanted = set(paths)
    for folder, dummy, files in os.walk(str(target), topdown=False):
        here = Path(folder).relative_to(target)
        if here.parts[:1] == (".git",):
            continue
        for name in files:
            if str(here / name) not in wanted:
                (target / here / name).unlink()
        if here.parts and not os.listdir(folder):
            os.rmdir(folder)
    for path in paths:
        copy_if_changed(ROOT / path, target / path)


def copy_if_changed(source: Path, target: Path) -> None:
    """Copy content, mode and time, unless size and time show that it was done before."""
    if target.exists() and not target.is_symlink() and not source.is_symlink():
        before, now = target.stat(), source.stat()
        if (before.st_size, before.st_mtime_ns, before.st_mode) == (
            now.st_size,
            now.st_mtime_ns,
            now.st_mode,
        ):
            return
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(str(target)) and (target.is_symlink() or source.is_symlink()):
        target.unlink()
    shutil.copy2(str(source), str(target), follow_symlinks=False)


def snapshot() -> Path:
    """Return a folder named by the content of the tree.

    It has a copy of the tree at ansible_collections/treekill/remote. The copy is a git repository
    of its own: tools ask git for the files, and the repository around it ignores all of .cache.
    """
    paths = source_files()
    unfinished = SNAPSHOTS / "unfinished"
    copy_sources(paths, unfinished / IN_COLLECTIONS)
    # Of the copy, not of the tree: the tree may be edited at this moment.
    place = SNAPSHOTS / digest(unfinished / IN_COLLECTIONS, paths)
    if not place.exists():
        make_repository(unfinished / IN_COLLECTIONS)
        unfinished.rename(place)
    os.utime(str(place))
    remove_old_snapshots()
    return place


def remove_old_snapshots() -> None:
    """Remove old snapshots, but keep those that a running program may use."""
    for place in SNAPSHOTS.iterdir():
        if place.stat().st_mtime < time.time() - KEEP:
            shutil.rmtree(str(place))


def make_repository(folder: Path) -> None:
    """Make an empty repository.

    Its files can be added, which is enough for `git ls-files --others`.
    """
    if not (folder / ".git").exists():
        run(["git", "init", "--quiet", folder])


def importable() -> None:
    """Return IMPORTABLE, for sys.path and MYPYPATH.

    Below it, ansible_collections.treekill.remote is this very tree.
    """
    link = IMPORTABLE / IN_COLLECTIONS
    link.parent.mkdir(parents=True, exist_ok=True)
    relative = os.path.relpath(str(ROOT), str(link.parent))
    if not link.is_symlink() or os.readlink(str(link)) != relative:
        if link.is_symlink():
            link.unlink()
        link.symlink_to(relative)
