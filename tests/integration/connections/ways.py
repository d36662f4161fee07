# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unusual ways to a task on a host, each with what it changes on the host and in the play."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.hosts import Lab
from tests.support.run import tasks
from tests.support.run.playing import Play
from tests.support.trees import tree

#: Processes of each way that a task can start without sudo.
KINDS = (*tree.COOPERATIVE, "ignores-signals", "setsid-cleared", "daemon-cleared", "hops-cleared")

Prepare = Callable[[Lab], object]


@dataclass(frozen=True)
class Way:
    """One way to a task."""

    name: str  #: as the table of what is covered has it
    prepare: Sequence[Prepare] = ()  #: of the lab, before the run
    before_end: Sequence[Prepare] = ()  #: of the lab, before the interruption
    hosts: int = 1  #: of the lab; the task is on the first
    play: Mapping[str, Any] = field(default_factory=dict)  #: fields of `Play`
    pipelining: bool = True  #: whether core can have it
    older: tuple[int, int] | None = None  #: the first core that refuses this way
    program: str = ""  #: that this machine needs

    def make_play(self, *, pipelining: bool) -> Play:
        """Return its play. Without a task, it grows the tree by a shell."""
        fields: dict[str, Any] = {
            "tasks": [tasks.grow()],
            "kinds": KINDS,
            "options": {"kill_timeout": 1},
            **self.play,
        }
        fields["variables"] = {**fields.get("variables", {}), "ansible_pipelining": pipelining}
        return Play(**fields)


def skip_if_missing(way: Way) -> None:
    """Skip a row whose program this machine lacks."""
    if way.program and shutil.which(way.program) is None:
        pytest.skip(f"this machine has no {way.program}")


# What is changed on the host.


def file(path: str, text: str, mode: int = 0o755) -> Prepare:
    """Return a function that writes a file."""

    def prepare(lab: Lab) -> None:
        written = lab["web1"].root / path.lstrip("/")
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(text)
        written.chmod(mode)

    return prepare


def command(script: str) -> Prepare:
    """Return a function that runs a shell script as root."""
    return lambda lab: lab["web1"].run(["sh", "-c", script])


def login_shell(path: str) -> Prepare:
    """Return a function that sets it for the login and for root."""
    return command(f"for account in ansible root; do usermod --shell {path} $account; done")


def key(options: str) -> Prepare:
    """Return a function that gives options to the key of the login."""
    return command(f"sed -i '1s|^|{options} |' /home/ansible/.ssh/authorized_keys")


def sshd(line: str) -> Prepare:
    """Return a function that sets an option of sshd."""

    def prepare(lab: Lab) -> None:
        config = lab["web1"].root / "etc/ssh/sshd_config"
        kept = [
            old for old in config.read_text().splitlines() if old.split()[:1] != line.split()[:1]
        ]
        config.write_text("\n".join([line, *kept]) + "\n")
        lab["web1"].reset()  # with a new sshd

    return prepare


def start_files(*names: str, text: str) -> Sequence[Prepare]:
    """Return functions that write start files of shells."""
    return [file(name, text, 0o644) for name in names]


_BECOME: dict[str, Any] = {"keywords": {"become": True}}

_GATE_PATH = "/usr/local/bin/gate"

#: A forced command. Files are transferred without it.
_GATE = """#!/bin/bash
case $SSH_ORIGINAL_COMMAND in *sftp*) exec /usr/lib/openssh/sftp-server ;; esac
{}
"""
_WAITING_GATE = _GATE.format('/bin/bash -c "$SSH_ORIGINAL_COMMAND"\nexit $?')
_RECORDER = _GATE.format('script -qefc "$SSH_ORIGINAL_COMMAND" /var/tmp/record.$$\nexit $?')
_EXEC_RECORDER = _GATE.format('exec script -qefc "$SSH_ORIGINAL_COMMAND" /var/tmp/record.$$')

#: A start file that disturbs whatever runs after it.
_START = """echo noise of a start file
echo more noise >&2
trap 'echo bye' EXIT
trap '' TERM
trap 'echo hup' HUP INT
set -u
alias exec='echo no'
"""

_OF_LAB = "-F {{ ansible_ssh_private_key_file | dirname }}/ssh_config"
_OWN_CONNECTION = "-o ControlMaster=no -o ControlPath=none"


def _through(options: str) -> dict[str, Any]:
    return {"variables": {"ansible_ssh_common_args": f"{_OF_LAB} {options}"}}


_JUMP = "-o ProxyJump=web2"
_PROXY = f"-o ProxyCommand='ssh {_OF_LAB} -W %h:%p web2'"

#: A script around ssh, which the run finds beside its playbook.
_SCRIPT: dict[str, Any] = {
    "files": {"client": '#!/bin/sh\n/usr/bin/ssh "$@"\nexit $?\n'},
    "variables": {"ansible_ssh_executable": "{{ playbook_dir }}/client"},
    "before": ("sh", "-c", 'chmod +x client; exec "$@"', "sh"),
}


def _limited(descriptors: int) -> dict[str, Any]:
    return {"before": ("sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh")}


#: The tree is ready in another directory than usual.
_MOVED = {
    "tasks": [
        {
            "name": "Grow a tree",
            "ansible.builtin.shell": (
                "{{ lookup('file', 'tree.sh') | replace('/tmp/ready', '/var/tmp/ready') }}"
            ),
        }
    ]
}


def _ending(last: str) -> dict[str, Any]:
    """Return fields of a play whose shell does something else than waiting for the tree."""
    return {
        "tasks": [
            {
                "name": "Grow a tree",
                "ansible.builtin.shell": (
                    "{{ lookup('file', 'tree.sh') | replace('while :; do wait; done', '"
                    f"{last}') }}}}"
                ),
            }
        ]
    }


def _mount(options: str, path: str = "/tmp") -> Prepare:
    return command(f"chmod 1777 /var/tmp; mount -t tmpfs -o {options} tmpfs {path}")


_ELSEWHERE = {"variables": {"ansible_remote_tmp": "/tmp/ansible"}}

#: For the login and what it runs. An earlier process may have ended.
_NO_MORE_PROCESSES = command(
    "echo 'ansible hard nproc 1' > /etc/security/limits.conf; "
    "for pid in $(pgrep -u ansible); do prlimit --pid $pid --nproc=1:1 || :; done"
)


def _interpreter(words: str) -> dict[str, Any]:
    return {"variables": {"ansible_python_interpreter": words}}


_WAITING_PYTHON = '#!/bin/sh\n/usr/bin/python3 "$@"\nexit $?\n'
_EXEC_PYTHON = '#!/bin/sh\nexec /usr/bin/python3 "$@"\n'

#: Reads the script of the task from the file of arguments that its word names.
_READ = "/usr/bin/python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[\"script\"])'"

_BASH_MODULE = f"""#!/bin/bash
# WANT_JSON
bash -c "$({_READ} "$1")"
echo '{{"changed": true}}'
"""

_PERL_MODULE = f"""#!/usr/bin/perl
# WANT_JSON
my $script = `{_READ} $ARGV[0]`;
system('bash', '-c', $script);
print '{{"changed": true}}';
"""

_C_MODULE = f"""
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {{
    char command[1000];
    snprintf(command, sizeof command, "%s '%s' | bash", {_READ!r}, argv[1]);
    system(command);
    puts("{{\\"changed\\": true}}");
    return 0;
}}
""".replace(repr(_READ), '"' + _READ.replace('"', '\\"') + '"')


def _module(**more: Any) -> dict[str, Any]:
    grow = {"name": "Grow a tree", "grown": {"script": "{{ lookup('file', 'tree.sh') }}"}}
    return {"tasks": [grow], **more}


_BINARY: dict[str, Any] = _module(
    files={"grown.c": _C_MODULE, "library/README": ""},
    before=("sh", "-c", 'gcc -static -o library/grown grown.c; exec "$@"', "sh"),
)

#: The login shells of which test_login_shells.py knows interruptions by a signal.
_SHELLS = ("/bin/dash", "/bin/zsh", "/bin/ksh93", "/usr/bin/fish", "/bin/tcsh")

WAYS = (
    *(Way(f"login shell {path}", [login_shell(path)]) for path in _SHELLS),
    *(
        Way(f"login shell {path}, become", [login_shell(path)], play=_BECOME)
        for path in ("/usr/bin/fish", "/bin/tcsh")
    ),
    Way(
        "login shell /bin/rbash",
        [login_shell("/bin/rbash")],
        play={"variables": {"ansible_shell_executable": "sh"}},
    ),
    Way(
        "forced command of a key",
        [file(_GATE_PATH, _WAITING_GATE), key(f'command="{_GATE_PATH}"')],
    ),
    Way("ForceCommand", [file(_GATE_PATH, _WAITING_GATE), sshd(f"ForceCommand {_GATE_PATH}")]),
    # Without a terminal of its own, script would change what a module reads.
    Way(
        "session recorder, by script",
        [file(_GATE_PATH, _RECORDER), key(f'command="{_GATE_PATH}"')],
        pipelining=False,
    ),
    Way(
        "session recorder, by exec script",
        [file(_GATE_PATH, _EXEC_RECORDER), key(f'command="{_GATE_PATH}"')],
        pipelining=False,
    ),
    Way("key with no-pty", [key("no-pty")]),
    Way("key with no-pty, become", [key("no-pty")], play=_BECOME),
    Way("MaxSessions 1", [sshd("MaxSessions 1")]),
    Way("MaxSessions 1, become", [sshd("MaxSessions 1")], play=_BECOME),
    Way("ProxyJump", hosts=2, play=_through(_JUMP)),
    Way("ProxyJump, ControlMaster=no", hosts=2, play=_through(f"{_JUMP} {_OWN_CONNECTION}")),
    Way("ProxyCommand", hosts=2, play=_through(_PROXY)),
    Way("ProxyCommand, ControlMaster=no", hosts=2, play=_through(f"{_PROXY} {_OWN_CONNECTION}")),
    Way(
        "ControlMaster=no",
        play={"sections": {"ssh_connection": {"ssh_args": "-o ControlMaster=no"}}},
    ),
    Way("script around ssh, without exec", play=_SCRIPT),
    Way(
        "script around ssh, without exec, ControlMaster=no",
        play={**_SCRIPT, "sections": {"ssh_connection": {"ssh_args": "-o ControlMaster=no"}}},
    ),
    Way(
        "start files that print and set traps",
        start_files(
            *(f"/home/ansible/{name}" for name in (".bashrc", ".profile", ".bash_profile")),
            text=_START,
        ),
    ),
    Way(
        "start files that print and set traps, sudo -i",
        start_files(
            *(f"/root/{name}" for name in (".bashrc", ".profile", ".bash_profile")), text=_START
        ),
        play={"keywords": {"become": True, "become_flags": "-H -S -n -i"}},
    ),
    Way(
        "start file with set -eu",
        start_files("/home/ansible/.bashrc", text="set -eu\ntrap '' HUP TERM INT\n"),
    ),
    Way(
        "start file by ENV and BASH_ENV",
        [
            file("/etc/environment", "ENV=/etc/envrc\nBASH_ENV=/etc/envrc\n", 0o644),
            file("/etc/envrc", "set -u\ntrap '' TERM HUP\n", 0o644),
        ],
    ),
    Way("read-only /tmp", [_mount("ro")], play=_MOVED),
    Way("read-only /tmp, become", [_mount("ro")], play={**_MOVED, **_BECOME}),
    Way("read-only /tmp and /dev/shm", [_mount("ro"), _mount("ro", "/dev/shm")], play=_MOVED),
    Way("noexec /tmp", [_mount("noexec,mode=1777")], play=_MOVED),
    Way(
        "HOME not writable",
        [command("chown -R root:root /home/ansible; chmod -R a+rX /home/ansible")],
        play=_ELSEWHERE,
    ),
    Way(
        "HOME unset",
        start_files("/home/ansible/.bashrc", text="unset HOME USER LOGNAME\nPATH=/bin:/usr/bin\n"),
        play=_ELSEWHERE,
    ),
    Way(
        "uid without an account, become",
        [file("/etc/sudoers.d/unknown", "Defaults runas_allow_unknown_id\n", 0o440)],
        play={
            "keywords": {"become": True, "become_user": "\\#5000"},
            "variables": {
                **_ELSEWHERE["variables"],
                "ansible_shell_allow_world_readable_temp": True,
            },
        },
    ),
    Way("64 descriptors on the controller", play=_limited(64)),
    Way("32 descriptors on the controller", play=_limited(32)),
    Way("no more processes on the host", before_end=[_NO_MORE_PROCESSES]),
    Way("no more processes on the host, become", before_end=[_NO_MORE_PROCESSES], play=_BECOME),
    Way(
        "output held open",
        play={**_ending("exit 0"), "kinds": ("background", "setsid", "nohup", "ignores-signals")},
    ),
    # Only with a terminal can it be taken.
    Way(
        "terminal taken by bash -i",
        play=_ending('exec < /dev/tty > /dev/tty 2>&1; bash -i -c "sleep 7200; true"'),
        pipelining=False,
    ),
    Way(
        "Python by a script with exec",
        [file("/usr/local/bin/snake", _EXEC_PYTHON)],
        play=_interpreter("/usr/local/bin/snake"),
    ),
    Way(
        "Python by a script without exec",
        [file("/usr/local/bin/snake", _WAITING_PYTHON)],
        play=_interpreter("/usr/local/bin/snake"),
    ),
    Way(
        "Python by a script without exec, become",
        [file("/usr/local/bin/snake", _WAITING_PYTHON)],
        play={**_interpreter("/usr/local/bin/snake"), **_BECOME},
    ),
    Way(
        "Python by a script python3 without exec",
        [file("/usr/local/bin/python3", _WAITING_PYTHON)],
        play=_interpreter("/usr/local/bin/python3"),
    ),
    Way("/usr/bin/env python3", play=_interpreter("/usr/bin/env python3"), older=(2, 20)),
    Way(
        "/usr/bin/env python3, become",
        play={**_interpreter("/usr/bin/env python3"), **_BECOME},
        older=(2, 20),
    ),
    Way("module in bash", play=_module(files={"library/grown": _BASH_MODULE})),
    Way("module in bash, become", play=_module(files={"library/grown": _BASH_MODULE}, **_BECOME)),
    Way("module in perl", play=_module(files={"library/grown": _PERL_MODULE})),
    Way("module in perl, become", play=_module(files={"library/grown": _PERL_MODULE}, **_BECOME)),
    Way("binary module", play=_BINARY, program="gcc"),
    Way("binary module, become", play={**_BINARY, **_BECOME}, program="gcc"),
    Way(
        "become_exe sudo su -",
        play={
            "keywords": {"become": True, "become_method": "su"},
            "variables": {"ansible_become_exe": "sudo su -"},
        },
    ),
    Way(
        "become_exe sudo su -, to a third user",
        play={
            "keywords": {"become": True, "become_method": "su", "become_user": "other"},
            "variables": {
                "ansible_become_exe": "sudo su -",
                "ansible_shell_allow_world_readable_temp": True,
            },
        },
    ),
    Way("become_flags -i", play={"keywords": {"become": True, "become_flags": "-i"}}),
)
