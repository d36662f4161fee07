# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Runs a script in this interpreter as if the interpreter had been started for it."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Sequence


def run_module(arguments: "Sequence[str]") -> None:
    """Run the script in arguments[0]; without arguments, the script on standard input.

    The rest of the arguments are those of the script. If the first one is `exec`, the rest is
    another program, which takes the place of this process.
    """
    if arguments and arguments[0] == "exec":
        from ansible_collections.treekill.remote.plugins.module_utils._supervisor.exec_program import (  # noqa: E501
            execute,
        )

        execute(list(arguments[1:]))
    name = arguments[0] if arguments else "<stdin>"
    main = vars(sys.modules["__main__"])
    for leftover in [leftover for leftover in main if not leftover.startswith("__")]:
        del main[leftover]
    main["__file__"] = name
    if sys.version_info < (3, 15):
        main["__cached__"] = None
    sys.argv[:] = arguments or [""]
    if hasattr(sys, "orig_argv"):
        sys.orig_argv[sys.orig_argv.index("-c") :] = arguments
    if arguments:
        import _frozen_importlib_external as loaders

        main["__loader__"] = loaders.SourceFileLoader("__main__", name)
        # Python does this too, except in its safe mode: then the path does not begin with the
        # current directory.
        if sys.path and sys.path[0] == "":
            sys.path[0] = os.path.dirname(os.path.realpath(name))
    with open(name if arguments else os.dup(0), "rb") as script:
        text = script.read()
    run(text, name, main)


def run(text: bytes, name: str, main: "Dict[str, Any]") -> None:
    """Run the text. The interpreter itself prints an exception, without the lines of this file."""
    try:
        exec(compile(text, name, "exec", 0, True), main)  # noqa: S102 - what an interpreter does
    except SystemExit:
        raise
    except BaseException as caught:
        trace = caught.__traceback__
        hook = sys.excepthook

        def show(kind: "Any", error: "Any", dummy: "Any") -> None:
            sys.excepthook = hook
            error.__traceback__ = trace.tb_next if trace else None
            hook(kind, error, error.__traceback__)

        sys.excepthook = show
        raise
