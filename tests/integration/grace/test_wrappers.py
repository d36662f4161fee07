# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A command below a program that people start it by gets its signal exactly once.

The command takes a second one as "abort now". Some of these programs pass their signal on, some
only wait, and some become the command.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hosts import Host, KindUnavailable, Lab
from tests.support.run import tasks
from tests.support.run.playing import Play, started
from tests.support.run.waiting import until
from tests.support.trees.table import rest
from tests.support.trees.triggers import INT

from . import jobs

PACKAGES = ("make", "supervisor")

_JOB = "/tmp/job.py once {{ row }} TERM"

#: docs/limits.md names those with which it may get the signal twice: tini, git.
WRAPPERS = {
    "env": f"env ROW=1 {_JOB}",
    "nohup": f"nohup {_JOB}",
    "nice": f"nice -n 1 {_JOB}",
    "setsid": f"setsid --fork --wait {_JOB}",
    "timeout": f"timeout --foreground 600 {_JOB}",
    "flock": f"flock /tmp/lock-{{{{ row }}}} {_JOB}",
    "ssh-agent": f"ssh-agent {_JOB}",
    "script": f"script -qec '{_JOB}' /dev/null",
    "make": "make -f /tmp/job.mk ROW={{ row }}",
    "supervisord": "ROW={{ row }} supervisord -n -c /tmp/supervisord.conf",
}

FILES = {
    "job.mk": "job:\n\t@/tmp/job.py once $(ROW) TERM\n",
    "supervisord.conf": (
        "[supervisord]\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=/tmp/supervisord.pid\n"
        "user=ansible\n"
        "[program:job]\ncommand=/tmp/job.py once %(ENV_ROW)s TERM\nautorestart=false\n"
    ),
}


@pytest.fixture(scope="module")
def wrapper_host() -> Iterator[tuple[Lab, Host]]:
    """A host that has these programs."""
    try:
        lab = Lab.up(count=1, kind="namespace", packages=PACKAGES)
    except KindUnavailable as reason:
        pytest.skip(str(reason))
    with lab as one:
        host = one["web1"]
        jobs.put_on(host)
        for name, text in FILES.items():
            (host.root / "tmp" / name).write_text(text)
        yield one, host


#: These are always run; the others with --every-row.
USUAL = {("setsid", False), ("flock", True), ("make", False), ("supervisord", True)}


@pytest.mark.parametrize(
    ("name", "pipelining"),
    [
        pytest.param(
            name,
            pipelining,
            id=f"{name}, {'pipelining' if pipelining else 'tty'}",
            marks=[] if (name, pipelining) in USUAL else [rest],
        )
        for name in WRAPPERS
        for pipelining in (False, True)
    ],
)
def test_the_command_gets_its_signal_once(
    wrapper_host: tuple[Lab, Host], name: str, pipelining: bool
) -> None:
    lab, host = wrapper_host
    play = Play(
        [{"name": "Work", "ansible.builtin.shell": WRAPPERS[name]}],
        options={"kill_timeout": 10},
        sections={"ssh_connection": {"pipelining": pipelining}},
    )
    with started(lab, play) as run:
        until(
            lambda: jobs.has_begun(run, host, "once"),
            40,
            lambda: f"it has not begun\n{run.story}",
        )
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        tasks.wait_until_gone(run, [host])
        assert not jobs.unfinished(run, host, "once"), run.story
