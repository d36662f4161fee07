# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands that look for what is left on hosts, and end it, typed as they stand.

The playbook that the recap names is run as well.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.hosts import Host, Lab

from .claims import Documented, block, command, runs
from .shell import with_lab
from .stages import RUN, abandon

_SWEEP = "ansible-playbook treekill.remote.sweep"


@runs(
    command("ansible all --become -m treekill.remote.process_tree_info"),
    command("ansible all --become -m treekill.remote.process_tree_kill -a dead=true --check"),
    command("ansible all --become -m treekill.remote.process_tree_kill -a dead=true"),
)
def test_the_commands_that_clean_up(
    lab: Lab, web1: Host, tmp_path: Path, documented: Documented
) -> None:
    shell = with_lab(tmp_path, lab)
    abandon(web1, RUN, "89abcdef", "sleep 1001", "^sleep 1001")
    look, would, end = documented
    assert '"state": "abandoned"' in shell.type(look)
    assert '"signal": "TERM"' in shell.type(would)
    assert web1.processes("^sleep 1001")
    assert '"ended": "TERM"' in shell.type(end)
    assert not web1.processes("^sleep 1001")


@runs(command(f"{_SWEEP} -i hosts --become --check"), command(f"{_SWEEP} -i hosts --become"))
def test_the_playbook_looks_and_then_ends(
    lab: Lab, web1: Host, tmp_path: Path, documented: Documented
) -> None:
    """`hosts` is an inventory in the user's directory."""
    shell = with_lab(tmp_path, lab)
    (tmp_path / "hosts").write_text(lab.inventory.read_text())
    abandon(web1, RUN, "89abcdef", "sleep 1001", "^sleep 1001")
    look, end = documented
    assert "sleep 1001" in shell.type(look)
    assert web1.processes("^sleep 1001")
    assert "sleep 1001" in shell.type(end)
    assert not web1.processes("^sleep 1001")


@runs(command(_SWEEP))
def test_the_playbook_ends_what_a_lost_controller_has_left(
    lab: Lab, web1: Host, tmp_path: Path, documented: Documented
) -> None:
    """It takes the inventory of the configuration, and no arguments."""
    (end,) = documented
    abandon(web1, RUN, "89abcdef", "sleep 1001", "^sleep 1001")
    with_lab(tmp_path, lab).type(end)
    assert not web1.processes("^sleep 1001")


@runs(block("docs/guides/awx.md", "import_playbook"))
def test_a_playbook_of_a_project_sweeps(
    lab: Lab, web1: Host, tmp_path: Path, documented: Documented
) -> None:
    """AWX runs it so, and with --check for the job type of that name."""
    (playbook,) = documented
    (tmp_path / "sweep.yml").write_text(playbook)
    shell = with_lab(tmp_path, lab)
    abandon(web1, RUN, "89abcdef", "sleep 1001", "^sleep 1001")
    daemon = web1.spawn(["sleep", "1002"], environ={"TREEKILL": f"{RUN}/01234567/4711/4710"})
    assert "sleep 1001" in shell.type("ansible-playbook sweep.yml --become --check")
    assert web1.processes("^sleep 1001")
    assert "sleep 1001" in shell.type("ansible-playbook sweep.yml --become")
    assert not web1.processes("^sleep 1001")
    assert daemon.id.alive()
    shell.type(f"ansible-playbook sweep.yml --become -e sweep_runs={RUN} -e sweep_left_behind=true")
    assert not daemon.id.alive()


def test_the_playbook_ends_what_a_run_has_in_flight_and_tells_what_it_left(
    lab: Lab, web1: Host, tmp_path: Path
) -> None:
    """A daemon that a task has left behind is ended when its command is named."""
    shell = with_lab(tmp_path, lab)
    abandon(web1, RUN, "89abcdef", "sleep 1001", "^sleep 1001")
    daemon = web1.spawn(["sleep", "1002"], environ={"TREEKILL": f"{RUN}/01234567/4711/4710"})
    sweep = f"{_SWEEP} --limit web1 --become -e sweep_runs={RUN}"
    shell.type(f"{sweep} --check")
    assert web1.processes("^sleep 1001")
    assert "01234567" in shell.type(sweep)
    assert not web1.processes("^sleep 1001")
    assert daemon.id.alive()
    shell.type(f"{sweep} -e sweep_leases=01234567")
    assert not daemon.id.alive()
