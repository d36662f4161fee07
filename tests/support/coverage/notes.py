# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sections and columns of the table, and the remarks for what has no row."""

from __future__ import annotations

#: Ends of a run or of its task. An interrupt is SIGINT, Ctrl-C, or what a front end does to cancel.
#: KILL of main is SIGKILL of the main process. `timeout` is the task's keyword.
ENDS = ("interrupt", "KILL of main", "timeout")

_LOST = "lost connection"

#: The sections of the table, and the columns of each.
SECTIONS = {
    "Connections": ENDS,
    "Containers": ("files", "pipelining", "asynchronous job"),
    "Ways to a task": ENDS,
    "Actions": ENDS,
    "Hosts without Python": ENDS,
    "Become": ENDS,
    "Play features": ENDS,
    "Front ends": ENDS,
    "Targets": ENDS,
    "Concurrency": ENDS,
    "Always sections": ("interrupt",),
    "Transactions": (*ENDS, _LOST),
    "Hand-offs": ("interrupt",),
}

#: What the rows of a section show besides, below its heading.
SHOWN = {
    "Containers": (
        "The whole controller is killed at once: main process, workers, guardian, keepers and"
        " clients. The columns are the ways of a task: with its module as a file, with pipelining,"
        " as an asynchronous job that is polled."
    ),
    "Always sections": (
        "The run has `run_always`. The `always` sections that a host is in run after the interrupt,"
        " and no other task."
    ),
    "Transactions": (
        "The work is finished: the tool finds nothing wrong. The task's next command has not begun,"
        " except of `raw` with a terminal. *lost connection* is a killed ssh client, a lost"
        " controller, or a cut network."
    ),
    "Hand-offs": (
        "Recap and report name what the task has handed off, and nothing else. It keeps running"
        " where the subject does not say otherwise. What others have handed off is not touched."
    ),
}

_RUNNER = "as ansible-runner run"
_PLAYBOOK = "as ansible-playbook alone"

#: Reasons why no subject of a section has a row for an end: (section, end) to a few words.
NO_ROWS: dict[tuple[str, str], str] = {("Ways to a task", "timeout"): "as interrupt"}

#: Reasons why an end of a subject has no row: (section, subject, end) to a few words, which the
#: table shows.
NO_ROW: dict[tuple[str, str, str], str] = {
    **{
        ("Front ends", f"ansible-runner, {how}", end): _RUNNER
        for how in ("job_timeout", "idle_timeout")
        for end in ("KILL of main", "timeout")
    },
    **{
        ("Front ends", "ansible-runner start, stop", end): _RUNNER
        for end in ("KILL of main", "timeout")
    },
    **{
        (
            "Front ends",
            f"ansible-playbook inside ansible-playbook, the {which} one",
            "timeout",
        ): _PLAYBOOK
        for which in ("inner", "outer")
    },
    **{
        ("Front ends", front, "timeout"): _PLAYBOOK
        for front in (
            "ansible-navigator in an execution environment",
            "ansible-navigator in an execution environment without artifacts",
            "ansible-runner run in an execution environment",
            "ansible-runner worker that starts an execution environment",
            "ansible-runner worker inside an execution environment",
        )
    },
    (
        "Front ends",
        "ansible-navigator in an execution environment without artifacts",
        "KILL of main",
    ): "as with artifacts",
    ("Connections", "ansible.netcommon.libssh", "timeout"): "the plugin does not notice it",
    (
        "Containers",
        "community.general.lxc",
        "pipelining",
    ): "the plugin does not close the input of a command",
    ("Containers", "community.general.lxc", "asynchronous job"): "as with local",
    ("Play features", "several playbooks", "timeout"): "as with one playbook",
    (
        "Play features",
        "reboot, while it waits for the host to come back",
        "timeout",
    ): "the host is down: nothing runs there",
}

#: Remarks on the rows of a subject: (section, subject) to a sentence, shown below the section's
#: table.
REMARKS: dict[tuple[str, str], str] = {
    ("Connections", "community.general.incus"): (
        "the client is that of LXD 5.0, by the name `incus`, and the daemon is that of LXD."
    ),
    ("Connections", "community.general.lxc"): (
        "with ansible-core 2.16 on Python 3.12. The library of LXC does not run with Python 3.13."
    ),
    ("Connections", "kubernetes.core.kubectl"): (
        "a program stands in for `kubectl`. Its pods are containers of docker, and there is no"
        " cluster."
    ),
    ("Become", "community.general.machinectl"): "systemd 257 of Debian trixie, by ssh.",
    ("Become", "community.general.run0"): "systemd 257 of Debian trixie, by ssh.",
    ("Play features", "pause"): (
        "It runs nothing on a host. The rows show that exit status and terminal are as without "
        "the collection. ansible-core itself does not end after a signal"
        " before its question is answered."
    ),
    (
        "Targets",
        "Debian bookworm",
    ): "OpenSSH 9.2, sudo 1.9.13, Python 3.11; all rows of other sections are on it as well.",
    ("Targets", "Debian trixie"): "OpenSSH 10.0, sudo 1.9.16, Python 3.13.",
    (
        "Targets",
        "Debian sid",
    ): (
        "as it is on the day that its tree is made; OpenSSH 10.6, sudo 1.9.17 and Python 3.14 "
        "when this was written."
    ),
    (
        "Targets",
        "systemd, KillUserProcesses=no",
    ): "systemd 252 of Debian bookworm; each of these rows has two hosts, one for each setting.",
    ("Concurrency", "ten runs on one host, five of them interrupted"): (
        "each number counts parts of five rounds. In each round five runs are interrupted at "
        "random moments, and five others go on. The cause is SIGINT, SIGTERM, SIGHUP, SIGKILL of "
        "the main process or of its group, or a timeout."
    ),
    (
        "Front ends",
        "started as by cron",
    ): (
        "without a cron daemon: `/bin/sh -c`, a session of its own, no terminal, standard "
        "input empty, no `HOME`, `PATH=/usr/bin:/bin`."
    ),
    (
        "Front ends",
        "timeout 600",
    ): "the test sends `timeout` SIGALRM when the tree has started, as at the end of its time.",
    (
        "Front ends",
        "ansible-pull",
    ): "from a local git repository, with hosts that it reaches by ssh.",
    ("Front ends", "ansible-navigator"): "`--execution-environment false --mode stdout`.",
    **{
        ("Front ends", front): f"{remark}. KILL of main is `podman kill` of the container."
        for front, remark in {
            "ansible-navigator in an execution environment": "`--mode stdout`, and podman",
            "ansible-runner run in an execution environment": "`--process-isolation`, and podman",
            "ansible-runner worker that starts an execution environment": (
                "as AWX runs a job on an execution node"
            ),
            "ansible-runner worker inside an execution environment": (
                "as AWX runs a job in a container group, but with podman instead of Kubernetes"
            ),
        }.items()
    },
}
