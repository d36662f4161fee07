# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Login shells that read our command lines.

With each of them, uninterrupted tasks go well, and no process survives an interruption.
"""

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

#: A name that shells would expand.
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
    """Set it.

    Each row has a ControlMaster of its own: that of another row would have the earlier shell.
    """
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
    """The tasks before it, one with such a name, have gone well by then.

    It would not have begun otherwise.
    """
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
