# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Part of the core under test: each of its runs loads the callback, whatever the target sets.

A target's own ansible.cfg or environment replaces `callbacks_enabled`. Ad hoc runs load no
callbacks at all. So neither is enough. For each run, a file notes that the callback was loaded, and
whether its guardian was there at the end.
"""

import os

from ansible import constants
from ansible.plugins.loader import callback_loader

_NAME = "treekill.remote.guardian"
_NOTES = "/run/core-targets/guarded"


def guard(queues):
    """Make the class TaskQueueManager load the callback."""
    load, clean = queues.load_callbacks, queues.cleanup

    def load_callbacks(queue):
        if _guardian_of(queue) is None:
            _load(queue, load)
            _note("missing" if _guardian_of(queue) is None else "loaded")

    def cleanup(queue):
        callback = _guardian_of(queue)
        # Core also cleans up if no play has begun.
        if callback is not None and callback._begun:
            run = callback._run
            _note("guarded" if run is not None and run.has_guardian else "alone")
        clean(queue)

    queues.load_callbacks, queues.cleanup = load_callbacks, cleanup


def _guardian_of(queue):
    return next(
        (
            plugin
            for plugin in queue._callback_plugins
            if getattr(plugin, "CALLBACK_NAME", "") == _NAME
        ),
        None,
    )


def _load(queue, load):
    enabled = constants.CALLBACKS_ENABLED
    if queue._run_additional_callbacks:
        constants.CALLBACKS_ENABLED = [*enabled, *({_NAME} - {*enabled})]
        load(queue)
        return
    # An ad hoc run loads ours and, as without it, `tree`.
    everything = callback_loader.all
    callback_loader.all = lambda *args, **kwargs: [
        one for one in everything(*args, **kwargs) if getattr(one, "CALLBACK_NAME", "") == "tree"
    ]
    constants.CALLBACKS_ENABLED, queue._run_additional_callbacks = [_NAME], True
    try:
        load(queue)
    finally:
        del callback_loader.all
        constants.CALLBACKS_ENABLED, queue._run_additional_callbacks = enabled, False


def _note(word):
    # One write for a line: several runs of one target can write at once, under several users.
    notes = os.open(_NOTES, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(notes, f"{word}\n".encode())
    finally:
        os.close(notes)
