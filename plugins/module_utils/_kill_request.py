# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a kill pass is asked to do, and its form as words on a command line.

Private to the collection treekill.remote. The controller writes the words, the host reads them: standard library, Python 3.6 and later.
"""

from ansible_collections.treekill.remote.plugins.module_utils._process_table import ProcessId

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Sequence


class KillRequest:
    """run, lease (C(*): every lease of the run), and how to end what they name.

    nonce: names the report line. signal, children_signal: numbers. children: whether the rest of the tree is signalled at all.
    timeout: seconds between the first signal and KILL. settle: seconds to look out for a tree that has not been seen yet.
    arguments: whether command lines may be reported. escalate: whether C(sudo -n) may be tried for what must not be signalled.
    found: processes that an earlier pass found and hands on; began: the monotonic clock when it began, in seconds.
    """

    __slots__ = ("run", "lease", "nonce", "signal", "children", "children_signal", "timeout", "settle", "arguments", "escalate", "found", "began")

    def __init__(
        self,
        run: "str",
        lease: "str",
        nonce: "str",
        signal: "int" = 15,
        children: "bool" = True,
        children_signal: "int" = 15,
        timeout: "float" = 10.0,
        settle: "float" = 2.0,
        arguments: "bool" = True,
        escalate: "bool" = True,
        found: "Sequence[ProcessId]" = (),
        began: "float" = 0.0,
    ) -> "None":
        self.run = run
        self.lease = lease
        self.nonce = nonce
        self.signal = signal
        self.children = children
        self.children_signal = children_signal
        self.timeout = timeout
        self.settle = settle
        self.arguments = arguments
        self.escalate = escalate
        self.found = found
        self.began = began

    def words(self) -> "List[str]":
        """C(key=value) words; the shell version of the pass reads the same ones."""
        words = [
            "run=" + self.run,
            "lease=" + self.lease,
            "nonce=" + self.nonce,
            "signal=%d" % self.signal,
            "children=%d" % self.children,
            "children_signal=%d" % self.children_signal,
            "timeout=%g" % self.timeout,
            "settle=%g" % self.settle,
            "arguments=%d" % self.arguments,
            "escalate=%d" % self.escalate,
        ]
        if self.found:
            words.append("began=%.6f" % self.began)
            words.append("found=" + ",".join("%d:%d" % (process.pid, process.start) for process in self.found))
        return words


def read_request(words: "Sequence[str]") -> "KillRequest":
    """The request that the words say. Raises ValueError or KeyError for words that no words() wrote."""
    value = dict(word.split("=", 1) for word in words)
    found = []
    for word in value.get("found", "").split(","):
        if word:
            pid, start = word.split(":")
            found.append(ProcessId(int(pid), int(start)))
    return KillRequest(
        value["run"],
        value["lease"],
        value["nonce"],
        int(value["signal"]),
        value["children"] == "1",
        int(value["children_signal"]),
        float(value["timeout"]),
        float(value["settle"]),
        value["arguments"] == "1",
        value["escalate"] == "1",
        found,
        float(value.get("began", 0)),
    )
