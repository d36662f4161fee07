# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Words that have the form of a secret are masked.

What identifies a command line is not.
"""

import time

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._process.masked_words import (
    mask_command,
    mask_urls,
    mask_words,
)
from ansible_collections.treekill.remote.plugins.module_utils._survey.rows import command_line
from ansible_collections.treekill.remote.plugins.module_utils._tree.control import (
    TrackedProcess,
    joined,
)

from tests.unit.plugins.module_utils.still_host import StillHost

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "git clone https://deploy:hunter2@git.example.com/app.git /srv",
            "git clone https://deploy:********@git.example.com/app.git /srv",
        ),
        (
            "git-remote-https origin HTTPS://deploy:hunter2@[::1]:8443/a",
            "git-remote-https origin HTTPS://deploy:********@[::1]:8443/a",
        ),
        ("git clone https://hunter2@github.com/a/b", "git clone https://********@github.com/a/b"),
        ("curl ftp://u:hun@ter2/hunter2@host/", "curl ftp://u:********@host/"),
        (
            "psql postgresql://app:hunter2@db:5432/app?sslmode=require",
            "psql postgresql://app:********@db:5432/app?sslmode=require",
        ),
        ("rsync -a u:hunter2@host::module /a", "rsync -a u:********@host::module /a"),
        ("mysqldump --password=hunter2 app", "mysqldump --password=******** app"),
        ("mysqldump --password hunter2 app", "mysqldump --password ******** app"),
        ("sh -c PGPASSWORD='hunter2 two' psql", "sh -c PGPASSWORD=******** psql"),
        ('sh -c PGPASSWORD="hunter2 two', "sh -c PGPASSWORD=********"),
        (
            "env MYSQL_PWD=hunter2 AWS_SECRET_ACCESS_KEY=hunter2 TOKEN=hunter2 x",
            "env MYSQL_PWD=******** AWS_SECRET_ACCESS_KEY=******** TOKEN=******** x",
        ),
        ("vault login -token hunter2", "vault login -token ********"),
        (
            "curl https://api/?user=a&access_token=hunter2",
            "curl https://api/?user=a&access_token=********",
        ),
        (
            """curl -d {"password": "hunter2", "a": 1}""",
            """curl -d {"password": "********", "a": 1}""",
        ),
        (
            "curl -H Authorization: Bearer hunter2 http://api",
            "curl -H Authorization: Bearer ******** http://api",
        ),
        ("useradd -p x; passwd hunter2", "useradd -p x; passwd ********"),
        (
            r"""curl -d {"password": "a\"hunter2", "b": 1}""",
            """curl -d {"password": "********", "b": 1}""",
        ),
        (
            r"""sh -c curl -d "{\"password\": \"it's hunter2\", \"b\": 1}\"""",
            r"""sh -c curl -d "{\"password\": "********", \"b\": 1}\"""",
        ),
        (
            """curl -d {"password": "it's hunter2", "b": 1}""",
            """curl -d {"password": "********", "b": 1}""",
        ),
        (
            """curl -d {"tokens": ["a", "hunter2"], "b": 1}""",
            """curl -d {"tokens": "********", "b": 1}""",
        ),
        ("tool --password -hunter2 -v", "tool --password ******** -v"),
        ("tool --password --token hunter2", "tool --password --token ********"),
        (
            "tool --ssl-key=hunter2 --private_key hunter2",
            "tool --ssl-key=******** --private_key ********",
        ),
        ("sshpass -p hunter2 ssh -p 2222 web1", "sshpass -p ******** ssh -p 2222 web1"),
        (
            "sh -c /usr/bin/sshpass -v -P Pass -p'hunter2;x' ssh web1",
            "sh -c /usr/bin/sshpass -v -P Pass -p******** ssh web1",
        ),
        ("mysql -u root -phunter2 app", "mysql -u root -p******** app"),
        ("sh -c mysqldump -phunter2 -p 'app' | gzip", "sh -c mysqldump -p******** -p 'app' | gzip"),
        ("mariadb-dump -p'hunter2 two' app", "mariadb-dump -p******** app"),
        ("mongodump -u a -p hunter2 -d app", "mongodump -u a -p ******** -d app"),
        ("redis-cli -a hunter2 ping", "redis-cli -a ******** ping"),
        ("ldapsearch -x -D cn=a -w hunter2 -b dc=b", "ldapsearch -x -D cn=a -w ******** -b dc=b"),
        (
            "curl -sSu deploy:hunter2 -U 'p:hunter2 x' http://api",
            "curl -sSu deploy:******** -U p:******** http://api",
        ),
        (
            "curl -udeploy:hunter2 --user a:hunter2 --proxy-user=b:hunter2 x",
            "curl -udeploy:******** --user a:******** --proxy-user=b:******** x",
        ),
        ("smbclient //a/b -U deploy%hunter2 -c ls", "smbclient //a/b -U deploy%******** -c ls"),
    ],
)
def test_a_secret_is_masked_by_its_form(text, shown):
    assert mask_words(text) == shown
    assert SECRET not in mask_words(text, cut=True)


@pytest.mark.parametrize(
    "length",
    range(
        len("git clone https://deploy:h"), len("git clone https://deploy:hunter2@git.example.com")
    ),
)
def test_a_secret_that_was_cut_off_is_masked_too(length):
    masked = mask_words("git clone https://deploy:hunter2@git.example.com"[:length], cut=True)
    assert masked.startswith("git clone https://deploy:********")
    assert "hunt" not in masked


@pytest.mark.parametrize(
    "text",
    [
        "sleep 100",
        "ssh admin@host uptime",
        "scp git@example.com:a/b c",
        "docker run registry.example.com:5000/app:1.2",
        "curl http://localhost:8080/a",
        "rsync -a /srv/ backup@host:/srv",
        "tar --exclude=./tmp -czf a.tgz .",
        "env PWD=/root OLDPWD=/ bash",
        "ffmpeg --passive=1 -i a",
        "/usr/bin/python3 /root/.ansible/tmp/ansible-tmp-1/AnsiballZ_command.py",
        "bash -c for i in 1 2; do echo $i; done",
        "sshpass -e ssh -p 2222 web1",
        "sshpass -f file ssh -p 2222 web1",
        "ssh -p 2222 web1",
        "mysql -u root -p app",
        "mkdir -p /srv/a",
        "docker run -p 80:80 app",
        "curl -u deploy http://localhost:8080/a",
        "curl --user-agent a:b http://localhost:8080/a",
        "sort -u a:b",
        "/etc/mysql.d/restart -pa",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text):
    assert mask_words(text) == text
    assert mask_urls(text) == text


WORDS = [
    (["tool", "--db-password", "correct horse battery", "-v"], "tool --db-password ******** -v"),
    (["tool", "--db-password=correct horse battery", "-v"], "tool --db-password=******** -v"),
    (["env", "PGPASSWORD=correct horse 'battery", "psql", "-v"], "env PGPASSWORD=******** psql -v"),
    (["tool", "--password", "-horse battery", "-v"], "tool --password ******** -v"),
    (["tool", "--password", "--token", "correct horse"], "tool --password ******** ********"),
    (["tool", "--password", "", "-v", "a b"], "tool --password ******** -v a b"),
    (["login", "password", "correct horse", "-v"], "login password ******** -v"),
    (["curl", "-H", "X-Vault-Token: correct horse", "x"], "curl -H X-Vault-Token: ******** x"),
    (
        ["curl", "-H", "Authorization: Digest a=horse, b=battery", "x"],
        "curl -H Authorization: Digest ******** x",
    ),
    (["openssl", "-passin", "pass:correct horse"], "openssl -passin ********"),
    (["tool", "-d", '{"password": 73501, "b": 1}'], 'tool -d {"password": "********", "b": 1}'),
    (
        ["tool", '{"key": {"a": "correct horse", "b": 2}, "c": 3}'],
        'tool {"key": "********", "c": 3}',
    ),
    (["curl", "-d", "user=a&password=correct horse&b=c"], "curl -d user=a&password=********"),
    (
        ["sudo", "sshpass", "-p", "correct horse", "ssh", "-p", "22 a"],
        "sudo sshpass -p ******** ssh -p 22 a",
    ),
    (["sshpass", "-pcorrect horse", "ssh", "-p", "22 a"], "sshpass -p******** ssh -p 22 a"),
    (["sshpass", "-e", "ssh", "-p", "22 a"], "sshpass -e ssh -p 22 a"),
    (
        ["/usr/bin/mysql", "-pcorrect horse", "-e", "select 1"],
        "/usr/bin/mysql -p******** -e select 1",
    ),
    (["curl", "-u", "deploy:correct horse", "x"], "curl -u deploy:******** x"),
    (["curl", "-sUdeploy:correct horse", "x"], "curl -sUdeploy:******** x"),
    (
        ["bash", "-c", "for i in 1 2; do echo $i; done", "a b"],
        "bash -c for i in 1 2; do echo $i; done a b",
    ),
]


@pytest.mark.parametrize(("words", "shown"), WORDS)
def test_a_value_with_blanks_is_masked_to_the_end_of_its_word(words, shown):
    """It is masked in the report of a kill pass, and in the result of a module."""
    host = StillHost()
    process = host.add(20, 1, words)
    tracked = TrackedProcess(process, "root")
    tracked.describe(host, True)
    assert mask_command(tracked.command) == shown
    assert command_line(process, host, arguments=True) == shown


@pytest.mark.parametrize("length", range(30, 260))
def test_a_value_with_blanks_that_was_cut_off_is_masked(length):
    words = [b"tool", b"x" * 20, b"--db-password", b"correct horse battery " * 20]
    shown = mask_command(joined(words)[:length].decode(), cut=True)
    assert "orr" not in shown
    assert "horse" not in shown


@pytest.mark.parametrize(
    "length", range(len("git clone https://h"), len("git clone https://hunter2"))
)
def test_a_token_that_was_cut_off_before_its_at_sign_is_masked(length):
    assert (
        mask_words("git clone https://hunter2@git.example.com"[:length], cut=True)
        == "git clone https://********"
    )


@pytest.mark.parametrize(
    "word",
    [
        "sshpass -v -P" * 300,
        "sshpass " + "-v " * 1000,
        "curl -u" + "u" * 2000,
        "curl " * 1000,
        "mysql -p" * 500,
    ],
)
def test_long_texts_with_such_programs_are_not_waited_for(word):
    began = time.process_time()
    mask_command(word, cut=True)
    mask_command("a\0" + word.replace(" ", "\0"), cut=True)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "word", ["pass" * 500, "pass-" * 500, "-pass:" * 500, '"key":' * 500, "key\\\\" * 300]
)
def test_long_words_are_not_waited_for(word):
    began = time.process_time()
    mask_command("a\0" + word, cut=True)
    assert time.process_time() - began < 2
