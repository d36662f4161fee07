# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Runs a script in this interpreter as if the interpreter had been started for it.

Private to the collection treekill.remote. Runs on the hosts: standard library, Python 3.6 and later.
"""

import os
import sys

from ansible_collections.treekill.remote.plugins.module_utils._host_signals import host_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Sequence


def run_module(arguments: "Sequence[str]") -> "None":
    """Run the script in arguments[0], the rest being its arguments; without any, the script that standard input brings.

    Another program than a Python script (C(exec) before its words) takes the place of this process.
    """
    if arguments and arguments[0] == "exec":
        os.execvp(arguments[1], list(arguments[1:]))
    name = arguments[0] if arguments else "<stdin>"
    main = vars(sys.modules["__main__"])
    for leftover in [leftover for leftover in main if not leftover.startswith("__")]:
        del main[leftover]
    main["__file__"] = name
    main["__cached__"] = None
    sys.argv[:] = arguments or [""]
    if hasattr(sys, "orig_argv"):
        sys.orig_argv[:] = [sys.orig_argv[0], *arguments]
    # Python does the same, unless it was told to be safe: then the path does not begin with the current directory.
    if arguments and sys.path and sys.path[0] == "":
        sys.path[0] = os.path.dirname(os.path.realpath(name))
    with open(name if arguments else os.dup(0), "rb") as script:
        text = script.read()
    run(compile(text, name, "exec", 0, True), main)


def run(code: "Any", main: "Dict[str, Any]") -> "None":
    """Run it, and tell of an exception as the interpreter does, without a word of the lines here."""
    try:
        exec(code, main)  # noqa: S102 - what an interpreter does
    except SystemExit:
        raise
    except BaseException:  # noqa: BLE001 - whatever nobody has caught
        kind, error, trace = sys.exc_info()
        sys.excepthook(kind, error, trace.tb_next if trace is not None else None)  # type: ignore[arg-type]
        if isinstance(error, KeyboardInterrupt) and sys.version_info >= (3, 8):
            die_of_interrupt()
        sys.exit(1)


def die_of_interrupt() -> "None":
    """End as Python does since 3.8 when nobody catches a KeyboardInterrupt."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    host_signals.signal(host_signals.SIGINT, host_signals.SIG_DFL)
    os.kill(os.getpid(), host_signals.SIGINT)
