# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The request to a kill pass. The controller writes it, the host reads it."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable


#: Begins the line of the report, before the nonce.
MARK = "TREEKILL-REPORT"
#: Stands for the default of a list that the program knows itself.
USUAL = "usual"


class KillRequest:
    """A run, a lease, and how to end the processes that belong to them.

    run, lease: their ids. The lease `*` stands for every lease of the run.
    nonce: names the report line.
    signal, children_signal: numbers of the first signals, to the root and to the rest.
    children: whether the rest of the tree is signalled at all.
    alone: whether a program that handles the signal gets it before what it has started.
    timeout: seconds between the first signal and KILL.
    arrival_timeout: seconds in which a tree that was not found yet may still appear.
    arguments: whether command lines may be reported.
    escalate: whether `sudo -n` may be tried for processes that this user may not signal.
    found: the processes that an earlier pass has found and hands on, `pid:start` with commas.
    began: the monotonic clock when that pass began.
    skip_grace: whether other passes for the same lease are to go over to KILL in their grace
        period.
    below: `pid:pid:pid` of the supervisor, of the module that it runs, and of the root above it.
        All below the supervisor belongs to its tree. A process with the cookie of another root
        belongs to a later run of the same command. An unknown root is `0`.
    finish, finish_modules: the programs whose transactions are left to finish, and the databases
        that modules open themselves, with commas; empty for none. See _tree/transactions.py.
    finish_timeout: seconds after which a transaction is ended like all else.
    look: whether the pass only reports which transactions are running, and signals nothing.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the fields of a record
        self,
        run: str = "",
        lease: str = "",
        nonce: str = "",
        signal: int = 15,
        children: bool = True,
        children_signal: int = 15,
        timeout: float = 10.0,
        arrival_timeout: float = 2.0,
        arguments: bool = True,
        escalate: bool = True,
        found: str = "",
        began: float = 0.0,
        skip_grace: bool = False,
        below: str = "",
        alone: bool = True,
        finish: str = USUAL,
        finish_modules: str = USUAL,
        finish_timeout: float = 600.0,
        look: bool = False,
    ) -> None:
        self.run = run
        self.lease = lease
        self.nonce = nonce
        self.signal = signal
        self.children = children
        self.children_signal = children_signal
        self.timeout = timeout
        self.arrival_timeout = arrival_timeout
        self.arguments = arguments
        self.escalate = escalate
        self.found = found
        self.began = began
        self.skip_grace = skip_grace
        self.below = below
        self.alone = alone
        self.finish = finish
        self.finish_modules = finish_modules
        self.finish_timeout = finish_timeout
        self.look = look


def read_request(words: "Iterable[str]") -> "KillRequest":
    """Return the request that `key=value` words stand for.

    Raises ValueError or AttributeError for words that do not come from a request.
    """
    request = KillRequest()
    for word in words:
        name, dummy, text = word.partition("=")
        if name not in vars(request):
            raise ValueError("not a word of a request: %r" % word)
        kind = type(getattr(request, name))
        setattr(request, name, kind(int(text)) if kind is bool else kind(text))
    return request
