# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Program that takes the picture docs/recap.svg.

A release is built on three hosts, and a user presses Ctrl-C. The picture shows the screen.
`make screenshot` calls it, and installs what it needs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.hosts import Lab
from tests.support.run.playing import Play, started
from tests.support.run.waiting import until
from tests.support.trees.triggers import CTRL_C

from . import picture

_TO = Path(__file__).parents[2] / "docs/recap.svg"

_COLUMNS, _LINES = 112, 60

#: Processes that the task starts: a build with its children, one that ignores TERM, and a log
#: reader in the background. A cache daemon without a mark in its environment is the last.
_BUILD = """
as() { name=$1; shift; "$@" bash -c 'exec -a "$0" sleep 7200' "$name" & }
for file in main parser lexer; do as "cc1 -O2 $file.c"; done
(trap '' TERM HUP; exec -a "rsync -a assets/ cdn:/srv/www" sleep 7200) &
as "tail -F /var/log/build.log" setsid
(env -i setsid bash -c 'exec -a "ccache --daemon" sleep 7200' &)
wait
"""

_READY = ("cc1 -O2 lexer.c", "rsync -a assets", "tail -F", "ccache --daemon")

_PLAY = Play(
    [
        {
            "name": "Build the release",
            "ansible.builtin.shell": {"cmd": _BUILD, "executable": "/bin/bash"},
        }
    ],
    keywords={"name": "Release"},
    hosts=("web1", "web2", "web3"),
    options={"kill_timeout": 3},
    # The host that is switched off has to be known as unreachable within a moment.
    sections={
        "ssh_connection": {
            "pipelining": True,
            "ssh_args": "-o ControlMaster=no -o ConnectTimeout=2",
        }
    },
    environ={"ANSIBLE_NOCOLOR": "0", "TERM": "xterm-256color"},
    terminal=True,
)


def take() -> str:
    """Take the picture."""
    with Lab.up(count=3) as lab, started(lab, _PLAY) as run:
        assert run.terminal is not None
        run.terminal.resize(_COLUMNS, _LINES)
        until(
            lambda: all(host.processes(name) for host in lab for name in _READY),
            60,
            lambda: run.story,
        )
        lab["web3"].cut()
        run.press_ctrl_c()
        assert run.wait(60) == CTRL_C.status, run.story
        written = (run.directory / "stdout").read_bytes().decode()
        for private, shown in (
            (str(lab.inventory), "hosts.ini"),
            (f" -i {run.directory}/targets.json", ""),
        ):
            written = written.replace(private, shown)
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
