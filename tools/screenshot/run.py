# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Program that takes the picture docs/recap.svg.

A release is built on three hosts, and a user presses Ctrl-C. The picture shows the screen.
`make screenshot` calls it, and installs what it needs.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

from tests.support.hosts import Lab
from tests.support.run.playing import Play, started
from tests.support.run.waiting import until
from tests.support.trees.triggers import CTRL_C

from . import picture

_TO = Path(__file__).parents[2] / "docs/recap.svg"

_COLUMNS, _LINES = 112, 60

#: The program of the release, on each host.
_PROGRAM = "srv/build-release"

#: Processes that it starts: a build with its children, one that ignores TERM, and a log reader in
#: the background. A cache daemon without a mark in its environment is the last.
_BUILD = """#!/bin/bash
as() { "${@:2}" perl -e '$0 = shift; sleep' "$1" & }
for file in main parser lexer; do as "cc1 -O2 $file.c"; done
(trap '' TERM HUP; exec perl -e '$0 = shift; sleep' "publish --to /srv/www") &
as "tail -F /var/log/build.log" setsid
(as "ccache --daemon" env -i setsid)
wait
"""

_READY = ("cc1 -O2 lexer.c", "publish --to", "tail -F", "ccache --daemon")

_PLAY = Play(
    [
        {
            "name": "Build the release",
            "ansible.builtin.command": f"/{_PROGRAM}",
        }
    ],
    keywords={"name": "Release"},
    hosts=("web1", "web2", "web3"),
    options={"kill_timeout": 3},
    sections={"ssh_connection": {"pipelining": True}},
    environ={"ANSIBLE_NOCOLOR": "0", "TERM": "xterm-256color"},
    terminal=True,
)


def take() -> str:
    """Take the picture."""
    with ExitStack() as stack:
        lab = stack.enter_context(Lab.up(count=3))
        for host in lab:
            (host.root / _PROGRAM).write_text(_BUILD)
            (host.root / _PROGRAM).chmod(0o755)
        run = stack.enter_context(started(lab, _PLAY))
        assert run.terminal is not None
        run.terminal.resize(_COLUMNS, _LINES)
        until(
            lambda: all(host.processes(name) for host in lab for name in _READY),
            60,
            lambda: run.story,
        )
        run.press_ctrl_c()
        assert run.wait(60) == CTRL_C.status, run.story
        written = (run.directory / "stdout").read_bytes().decode()
    lines = picture.screen(
        "$ ansible-playbook -i hosts.ini release.yml\n" + written.strip("\r\n"), _COLUMNS
    )
    return picture.svg(
        lines,
        _COLUMNS,
        "A playbook interrupted by Ctrl-C, and the recap of what was ended on its hosts",
    )


if __name__ == "__main__":
    _TO.write_text(take(), encoding="utf-8")
    print(_TO)
    sys.exit(0)
