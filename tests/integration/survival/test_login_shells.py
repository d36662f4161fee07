# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whichever shell reads our command lines on their way, tasks go well that nobody interrupts, and nothing survives an interruption."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hosts import Lab
from tests.support.labs.lab_or_skip import lab_or_skip
from tests.support.run.play import Setting
from tests.support.trees import tree
from tests.support.trees.bystanders import Companies, Company
from tests.support.trees.table import Row, Took, nothing_survives, rest
from tests.support.trees.triggers import INT

ALWAYS = ("/bin/tcsh", "/usr/bin/fish")
#: bash is the login shell of all other rows.
OTHERS = ("/bin/sh", "/bin/dash", "/bin/zsh", "/bin/ksh93", "/bin/bsd-csh")

#: With a name that shells would read.
NAME = "Done it!now $HOME `x` 'a' \"b\""


@pytest.fixture(scope="session")
def shell_lab(orderly_end: None) -> Iterator[Lab]:
    """A host where the login shell is another one in each row."""
    with lab_or_skip(1) as one:
        yield one


@pytest.fixture
def among(shell_lab: Lab, companies: Companies) -> Company:
    """Bystanders on it."""
    return companies.on(shell_lab)


def use_shell(lab: Lab, shell: str, *accounts: str) -> None:
    """Each row has a ControlMaster of its own: that of another one would know the shell from before."""
    host = lab["web1"]
    if not (host.root / shell.lstrip("/")).exists():
        pytest.skip(
            f"the hosts have no {shell}: its package is in the Debian tree only, and this lab "
            "could not have one"
        )
    for account in accounts:
        host.run(["usermod", "--shell", shell, account])


@pytest.mark.parametrize("become", ["no", "root, by sudo -i"])
@pytest.mark.parametrize("shell", [*ALWAYS, *(pytest.param(shell, marks=rest) for shell in OTHERS)])
def test_nothing_survives_behind_any_login_shell(
    among: Company, shell: str, become: str, took: Took
) -> None:
    """The tasks before it, one with such a name, have gone well by then, or it would not have begun."""
    use_shell(among.lab, shell, "ansible", "root")
    try:
        nothing_survives(
            among,
            Row(
                INT,
                Setting(
                    hosts=1,
                    become=become,
                    kinds=tree.COOPERATIVE,
                    first=({"name": NAME, "ansible.builtin.ping": {}},),
                ),
            ),
            took,
        )
    finally:
        use_shell(among.lab, "/bin/bash", "ansible", "root")
