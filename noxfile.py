# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# /// script
# dependencies = ["nox", "antsibull-nox"]
# ///

"""Sessions of nox for what `make` does, with the words of antsibull-nox.

`pipx run noxfile.py -l` lists them. antsibull-nox.toml configures the sessions that are
antsibull-nox's own. The others run the gate or the command of tools/environment. They run
ansible-test, execution environments and molecule without a container engine. Each core has a Python
that it runs on. A gate fails if it has looked at nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

import antsibull_nox
import nox

sys.path.insert(0, str(Path(__file__).parent))

from tools.environment import _nox

nox.options.sessions = ["lint"]

antsibull_nox.load_antsibull_nox_toml()


def _session(name: str, target: str) -> None:
    """Register a session that runs a target of the Makefile, with the variables behind `--`.

    The environments depend on the Python that make takes, not on nox's.
    """

    def run(session: nox.Session) -> None:
        session.run("make", target, *session.posargs, external=True)

    run.__doc__ = f"make {target}"
    nox.session(name=name, python=False)(run)


_session("lint", "lint")
for _name, _gate in _nox.GATES.items():
    _session(_name, f"lint-{_gate}")
for _name in _nox.COMMANDS:
    _session(_name, _name)

if __name__ == "__main__":
    nox.main()
