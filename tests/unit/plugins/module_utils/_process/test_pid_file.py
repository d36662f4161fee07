# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Conditions under which a pid file is believed.

No other user could have written it, and it is about a process that was there when it was written.
"""

import os
import stat
import subprocess

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._process.model import (
    Process,
    ProcessId,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.pid_file import (
    NotBelieved,
    check_directories,
    check_file,
    check_match,
    number_in,
    process_of,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.proc import ProcTable


@pytest.fixture
def child():
    """A process."""
    running = subprocess.Popen(["sleep", "1000"])
    yield running
    running.kill()
    running.wait()


@pytest.fixture
def path(tmp_path):
    """Return where a pid file may be for the user that runs the tests.

    Those of root are believed in directories of root only.
    """
    return str(tmp_path / "x.pid")


def write(path, content, mode=0o644):
    with open(path, "w") as out:
        out.write(content)
    os.chmod(path, mode)


def refused(path, word):
    with pytest.raises(NotBelieved, match=word):
        process_of(path, ProcTable())


@pytest.mark.parametrize("form", ["%d", "%d\n", "   %d\n", "%d\n\n"])
def test_the_process_that_it_names(path, child, form):
    write(path, form % child.pid)
    assert process_of(path, ProcTable()).id.pid == child.pid


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n",
        "x",
        "-1",
        "0",
        "007",
        "1 2",
        "12\n13",
        "12x",
        "0x12",
        "1e3",
        "1.0",
        "1\0",
        "\u0661",
        "9" * 40,
        "12" + " " * 40,
    ],
)
def test_content_that_is_not_one_number_is_refused(path, content):
    with pytest.raises(NotBelieved, match="one number"):
        number_in(path, content.encode("utf-8"))


def test_a_file_that_is_older_than_the_process_is_stale(path, child):
    write(path, "%d\n" % child.pid)
    now = os.stat(path).st_mtime
    os.utime(path, (now, now - 60))
    refused(path, "stale: it was written")


def test_a_file_from_the_future_says_nothing_about_the_process(path, child):
    """It was written while the clock was ahead.

    The process may have the pid of the one that the file named.
    """
    write(path, "%d\n" % child.pid)
    now = os.stat(path).st_mtime
    os.utime(path, (now, now + 3600))
    refused(path, "in the future")
    os.utime(path, (now, now))
    assert process_of(path, ProcTable()).id.pid == child.pid


def test_a_file_that_was_written_in_the_moment_of_the_start_is_not(path):
    running = subprocess.Popen(
        ["sh", "-c", 'echo $$ > "$0"; echo ready; exec sleep 1000', path], stdout=subprocess.PIPE
    )
    try:
        running.stdout.readline()
        assert process_of(path, ProcTable()).id.pid == running.pid
    finally:
        running.kill()
        running.wait()
        running.stdout.close()


def test_no_process_is_named_if_none_has_the_pid(path):
    running = subprocess.Popen(["true"])
    running.wait()
    write(path, "%d\n" % running.pid)
    assert process_of(path, ProcTable()) is None


def test_a_zombie_is_gone(path):
    running = subprocess.Popen(["true"])
    os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
    write(path, "%d\n" % running.pid)
    assert process_of(path, ProcTable()) is None
    running.wait()


def test_links_are_refused(path, child):
    write(path + ".real", "%d\n" % child.pid)
    os.symlink(path + ".real", path)
    refused(path, "symbolic link")
    os.unlink(path)
    os.link(path + ".real", path)
    refused(path, "2 hard links")


@pytest.fixture
def linked(tmp_path):
    """Make a link in a directory, and return the path of the pid file behind it."""

    def make(target, owner):
        os.symlink(target, str(tmp_path / "linked"))
        if owner:
            os.chown(str(tmp_path / "linked"), owner, owner, follow_symlinks=False)
        return str(tmp_path / "linked" / "x.pid")

    return make


@pytest.mark.parametrize("target", ["real", "./real/../real/", "{}/real", "hop/real", "hop"])
def test_a_directory_in_the_path_may_be_a_link_of_ones_own(tmp_path, child, linked, target):
    (tmp_path / "real").mkdir()
    (tmp_path / "hop").symlink_to("." if "/" in target else "real")
    write(str(tmp_path / "real" / "x.pid"), "%d\n" % child.pid)
    path = linked(target.format(tmp_path), 0)
    assert process_of(path, ProcTable()).id.pid == child.pid


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a link to another user")
@pytest.mark.parametrize(
    "place", ["{}", "{}/hop"], ids=["in the path", "behind a link of ones own"]
)
def test_a_directory_in_the_path_that_is_a_link_of_another_users_is_refused_and_named(
    tmp_path, child, linked, place
):
    """Its owner chooses which file it leads to: root's own, about root's own process.

    The control: such a link of root's.
    """
    (tmp_path / "real").mkdir()
    (tmp_path / "hop").symlink_to(".")
    write(str(tmp_path / "real" / "x.pid"), "%d\n" % child.pid)
    path = linked("real", 60002)
    refused(
        place.format(tmp_path) + "/linked/x.pid",
        "%s/linked is a symbolic link of uid 60002" % tmp_path,
    )
    os.unlink(os.path.dirname(path))
    assert process_of(linked("real", 0), ProcTable()).id.pid == child.pid


def test_a_circle_of_links_is_refused(tmp_path, linked):
    (tmp_path / "hop").symlink_to("linked")
    refused(linked("hop", 0), "more than 40 symbolic links")


def test_the_root_directory_is_no_pid_file():
    refused("/", "not a regular file")


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_can_write_is_refused(path, child, mode):
    write(path, "%d\n" % child.pid, mode)
    refused(path, "writable by users other")


def test_what_is_no_file_is_refused(path):
    os.mkfifo(path)
    refused(path, "not a regular file")


def test_a_relative_path_is_refused(child):
    refused("x.pid", "absolute")


def test_a_missing_file_is_told_as_such(path):
    with pytest.raises(FileNotFoundError):
        process_of(path, ProcTable())


class Found:
    """A result of stat."""

    def __init__(self, uid, mtime=100.0, mode=0o644):
        self.st_uid, self.st_mtime, self.st_mode, self.st_nlink = uid, mtime, stat.S_IFREG | mode, 1


@pytest.mark.parametrize(
    ("owner", "user", "believed"),
    [
        (0, 0, True),
        (0, 33, True),
        (33, 33, True),
        (33, 0, False),
        (33, 34, False),
        (33, None, False),
    ],
)
def test_it_belongs_to_root_or_to_the_user_of_the_process(owner, user, believed):
    check_file("/run/x.pid", Found(owner))
    process = Process(ProcessId(7, 1), 1)
    if believed:
        check_match("/run/x.pid", Found(owner), process, 99.0, user)
    else:
        with pytest.raises(NotBelieved, match="belongs to uid 33"):
            check_match("/run/x.pid", Found(owner), process, 99.0, user)


@pytest.mark.parametrize(
    ("written", "believed"),
    [(100.0, True), (99.99, True), (99.9, False), (101.0, True), (0.0, False)],
)
def test_it_was_written_after_the_start(written, believed):
    process = Process(ProcessId(7, 1), 1)
    if believed:
        check_match("/run/x.pid", Found(0, written), process, 100.0, 0)
    else:
        with pytest.raises(NotBelieved, match="stale"):
            check_match("/run/x.pid", Found(0, written), process, 100.0, 0)


def test_a_file_of_roots_is_not_believed_where_others_can_replace_it(tmp_path):
    if os.geteuid():
        with pytest.raises(NotBelieved, match="replace files in"):
            check_directories(str(tmp_path))
        return
    check_directories(str(tmp_path))
    tmp_path.chmod(0o1777)
    check_directories(str(tmp_path))
    below = tmp_path / "below"
    below.mkdir()
    tmp_path.chmod(0o775)
    with pytest.raises(NotBelieved, match="replace files in"):
        check_directories(str(below))
    tmp_path.chmod(0o755)
    os.chown(str(tmp_path), 33, 0)
    with pytest.raises(NotBelieved, match="replace files in"):
        check_directories(str(below))
