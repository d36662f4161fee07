# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The warning for plays whose strategy runs modules without core's connections."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ansible.playbook.play import Play
    from ansible.utils.display import Display

#: The names of mitogen's strategies begin with this word.
_MITOGEN = "mitogen"


def warn_of_strategy(play: Play, display: Display) -> None:
    """Warn before the first task of a play that is not protected because of its strategy.

    Core shows equal warnings once.
    """
    name = str(getattr(play, "strategy", None) or "")
    wanted = (getattr(play, "vars", None) or {}).get("treekill_track") == "none"
    if name.rpartition(".")[2].startswith(_MITOGEN) and not wanted:
        display.warning(
            f"treekill.remote: NOT PROTECTED: plays with the strategy {name}. It runs modules in an"
            " interpreter that stays on the host. If the run is interrupted, they keep running."
            " Use a strategy of ansible-core, such as linear or free. If that is intended, set"
            " treekill_track: none for the play."
        )
