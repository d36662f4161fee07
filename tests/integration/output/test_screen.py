# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recap on the screen, with every stdout callback.

It is printed on a terminal and without one, in Ansible's colours.
"""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from tests.support.hosts import Host, Lab
from tests.support.run import tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.run.waiting import until
from tests.support.trees.triggers import CTRL_C, INT

PLAY = Play(
    [tasks.grow()], options={"kill_timeout": 1}, kinds=["background", "setsid", "ignores-signals"]
)

#: As ansible.posix.json: the output of a run is one JSON object on standard output, when it is
#: over.
_JSON = """
import atexit, json
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = "name: as_json\\ntype: stdout\\nshort_description: JSON\\ndescription: JSON\\n"

class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "stdout", "as_json"

    def v2_playbook_on_start(self, playbook):
        atexit.register(lambda: print(json.dumps({"plays": ["all of them"]})))
"""


def assert_tree_is_drawn(run: Run, screen: str) -> None:
    """Assert that the line of the host is there, and each process in its place with its ending."""
    assert re.search(r"^web1 +: ended [1-9]\d* .*survivors 0", screen, re.MULTILINE), run.story
    assert re.search(r"^TASK \[Grow a tree\] on web1$", screen, re.MULTILINE), run.story
    for kind, end in (
        ("background", "ended on TERM in "),
        ("setsid", "ended on TERM in "),
        ("ignores-signals", "KILL after "),
    ):
        assert re.search(
            rf"^ +(│ )*[├└]─tk-{kind}-{run.row} 7200 \(\d+\) +{end}\d", screen, re.MULTILINE
        ), run.story


@pytest.mark.parametrize(
    "defaults",
    [
        pytest.param({"stdout_callback": "as_json", "callback_plugins": "."}, id="json"),
        pytest.param(
            {"stdout_callback": "default", "callback_result_format": "yaml"}, id="default, yaml"
        ),
        pytest.param({"stdout_callback": "minimal"}, id="minimal", marks=pytest.mark.rest),
        pytest.param({"stdout_callback": "oneline"}, id="oneline", marks=pytest.mark.rest),
    ],
)
def test_the_recap_is_on_standard_error_and_standard_output_is_the_callbacks_own(
    lab: Lab, web1: Host, defaults: dict[str, str]
) -> None:
    play = dataclasses.replace(PLAY, sections={"defaults": defaults}, files={"as_json.py": _JSON})
    with started(lab, play) as run:
        tasks.wait_for_tree(run, [web1])
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        assert_tree_is_drawn(run, run.errors)
        assert "treekill" not in run.output.lower(), run.story
        assert "\x1b" not in run.errors, run.story
        if defaults["stdout_callback"] == "as_json":
            assert json.loads(run.output) == {"plays": ["all of them"]}


@pytest.mark.parametrize("colored", [True, False], ids=["colours", "no colours"])
def test_on_a_terminal_there_is_progress_until_the_recap_comes(
    lab: Lab, web1: Host, colored: bool
) -> None:
    environ = {"TERM": "xterm", "ANSIBLE_NOCOLOR": "" if colored else "1"}
    with started(
        lab, dataclasses.replace(PLAY, options={"kill_timeout": 3}, terminal=True, environ=environ)
    ) as run:
        tasks.wait_for_tree(run, [web1])
        run.press_ctrl_c()
        for seconds in (3, 2, 1):
            line = f"treekill: 0 of 1 hosts done, {seconds} s of the grace period left"
            until(
                lambda: line in run.output,  # noqa: B023
                20,
                lambda: f"no {line!r}\n{run.story}",  # noqa: B023
            )
        assert run.wait(60) == CTRL_C.status, run.story
        raw = (run.directory / "stdout").read_bytes()
        before, recap = raw.split(b"TREEKILL RECAP")
        # The last change of the line is its removal, and nothing comes between that and the recap.
        assert re.search(rb"\r\x1b\[K(\x1b\[[0-9;]*m|\r|\n)*$", before), run.story
        assert b"hosts done" not in recap
        assert (b"\x1b[0;" in recap) == colored, run.story
        assert_tree_is_drawn(run, re.sub("\x1b\\[[0-9;]*m", "", recap.decode().replace("\r", "")))


def test_several_playbooks_are_one_run_with_one_recap(lab: Lab, web1: Host) -> None:
    first = json.dumps(
        [{"hosts": "targets", "gather_facts": False, "tasks": [tasks.trace("first")]}]
    )
    play = dataclasses.replace(
        PLAY,
        arguments=["playbook.yml"],
        files={"first.yml": first},
        before=["sh", "-c", 'shift; exec "$0" first.yml "$@"'],
    )
    # sh -c '...' ansible-playbook playbook.yml playbook.yml: the first of both names makes room for
    # the other playbook.
    with started(lab, play) as run:
        tasks.wait_for_tree(run, [web1])
        assert tasks.has_left_trace(run, web1, "first"), run.story
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        assert run.errors.count("TREEKILL RECAP") == 1, run.story
        assert run.errors.count("given; grace period") == 1, run.story
        assert_tree_is_drawn(run, run.errors)
        tasks.wait_until_nothing_is_left(run)


HOSTILE = (
    "printf 'x\\342\\200\\256y\\033[2J' > /dev/null; exec -a \"$(printf 'h\\303\\251 "
    "\\342\\200\\256 \\033[31mred\\nline')\" sleep 7200"
)


def test_what_a_process_calls_itself_is_shown_escaped(lab: Lab, web1: Host) -> None:
    task = {
        "name": "Be hostile",
        "ansible.builtin.shell": {
            "cmd": f": > /tmp/ready-{{{{ row }}}}; {HOSTILE}",
            "executable": "/bin/bash",
        },
    }
    with started(lab, dataclasses.replace(PLAY, tasks=[task])) as run:
        until(
            (web1.root / f"tmp/ready-{run.row}").exists, 40, lambda: f"it does not run\n{run.story}"
        )
        until(lambda: web1.processes("red"), 10, lambda: f"it has no name yet\n{run.story}")
        INT.fire(run, lab)
        assert run.wait(60) == INT.status, run.story
        recap = run.errors.partition("TREEKILL RECAP")[2]
        assert r"hé \u202e \x1b[31mred\nline 7200" in recap, run.story
        assert all(line.isprintable() for line in recap.splitlines()), run.story
        web1.run(["rm", f"/tmp/ready-{run.row}"])


def test_v_adds_one_line_to_standard_error_and_nothing_to_standard_output(
    lab: Lab, web1: Host
) -> None:
    """It shows that the collection is on, also beside a stdout callback that a program reads."""
    play = Play([tasks.trace()], arguments=["-v"], variables={"fixed": "yes"})
    seen = []
    for collection in (True, False):
        with started(lab, dataclasses.replace(play, collection=collection)) as run:
            assert run.wait(40) == 0, run.story
            assert tasks.has_left_trace(run, web1)
            seen.append(_without_what_differs(run))
            lines = re.findall(
                r"^treekill\.remote \d+\.\d+\.\d+\S* guards .*$", run.errors, re.MULTILINE
            )
            assert len(lines) == collection, run.story
    assert seen[0] == seen[1]


def _without_what_differs(run: Run) -> str:
    """Return its standard output without what two runs of one play never share."""
    text = run.output.replace(run.row, "ROW").replace(str(run.directory), "DIRECTORY")
    return re.sub(r'"(start|end|delta)": "[^"]*"', "", text)
