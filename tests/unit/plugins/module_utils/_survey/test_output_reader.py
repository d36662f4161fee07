# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reader of a process' output.

It is looked up from outside, for real pipes and terminals.
"""

import os
import signal
import socket

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._survey.output_reader import reader_of


@pytest.fixture
def child():
    """Start a process with this descriptor as its standard output, and return its pid."""
    pids = []

    def start(descriptor):
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            os.dup2(descriptor, 1)
            os.closerange(3, 64)
            while True:
                signal.pause()
        pids.append(pid)
        while os.path.exists("/proc/%d/fd/%d" % (pid, descriptor)):
            pass  # until it has closed all but its output
        return pid

    yield start
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_pipe_has_a_reader_or_none(child):
    reader, writer = os.pipe()
    pid = child(writer)
    os.close(writer)
    assert reader_of(pid, 1) == "reader"
    os.close(reader)
    assert reader_of(pid, 1) == "no reader"


def test_the_question_disturbs_no_process(child):
    reader, writer = os.pipe()
    pid = child(writer)
    os.close(writer)
    reader_of(pid, 1)
    os.kill(pid, signal.SIGKILL)
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_a_terminal_lives_or_was_hung_up(child):
    outer, inner = os.openpty()
    pid = child(inner)
    os.close(inner)
    assert reader_of(pid, 1) == "reader"
    os.close(outer)
    assert reader_of(pid, 1) == "no reader"


def test_files_say_nothing(child, tmp_path):
    for path in ("/dev/null", str(tmp_path / "log")):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        assert reader_of(child(descriptor), 1) == "neutral"
        os.close(descriptor)


def test_a_closed_descriptor_says_nothing(child):
    descriptor = os.open("/dev/null", os.O_RDWR)
    assert reader_of(child(descriptor), 63) == "neutral"
    os.close(descriptor)


def test_of_sockets_named_pipes_and_the_dead_there_is_no_telling(child, tmp_path):
    one, other = socket.socketpair()
    assert reader_of(child(one.fileno()), 1) == "unreadable"
    other.close()
    os.mkfifo(str(tmp_path / "fifo"))
    descriptor = os.open(str(tmp_path / "fifo"), os.O_RDWR)
    assert reader_of(child(descriptor), 1) == "unreadable"
    os.close(descriptor)
    one.close()
    assert reader_of(1 << 30, 1) == "unreadable"
