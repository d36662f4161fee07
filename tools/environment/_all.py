# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of `make test` and `make test-all-cores`.

It has the message for a core that can't run here.
"""

from __future__ import annotations

from typing import Sequence

from ._commands import SetupError, say
from ._cores import CORES
from ._interpreters import interpreter_for, interpreters, reason_missing
from ._lint import lint
from ._setup import Ready, make_ready
from ._tests import SUITES, program, suite

#: The gates that depend on the core.
OF_EACH_CORE = ("sanity", "units")

#: Unit tests are a gate: ansible-test runs them in the way in which others run those of
#: collections. Once is enough.
BEHIND_LINT = tuple(name for name in SUITES if name != "unit")


def test(ready: Ready, gates: Sequence[str], arguments: Sequence[str]) -> int:
    """Run lint, then the suites and the nearest of core's own targets.

    The first that fails is the last that runs, so that its output is the last on the screen.
    """
    failed = lint(ready, gates) or next(
        filter(None, (suite(name, ready, arguments) for name in BEHIND_LINT)), 0
    )
    return failed or program("core-tests", ready, ["--quick"])


def test_all_cores(arguments: Sequence[str]) -> int:
    """Test every supported core, and return 1 if one failed.

    Cores whose Python is missing are no failure, but they are named.
    """
    outcomes: dict[str, str] = {}
    # The newest first: with it the gates run that do not depend on the core, once.
    for core in reversed(list(CORES.values())):
        if interpreter_for(core, interpreters()) is None:
            outcomes[core.version] = f"not run: {reason_missing(core, interpreters())}"
            continue
        gates = (
            OF_EACH_CORE
            if any(outcome in ("ok", "failed") for outcome in outcomes.values())
            else ()
        )
        outcomes[core.version] = (
            "failed" if test(make_ready(core.version), gates, arguments) else "ok"
        )
    ran = [outcome for outcome in outcomes.values() if outcome in ("ok", "failed")]
    if not ran:
        raise SetupError("no supported ansible-core runs here")
    for version, outcome in sorted(outcomes.items()):
        say(f"ansible-core {version}: {outcome}")
    return 1 if "failed" in ran else 0
