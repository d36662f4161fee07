# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What says by its form that it is a secret is not shown; what a command line needs to be known again is."""

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._masked_words import mask_urls, mask_words

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("git clone https://deploy:hunter2@git.example.com/app.git /srv", "git clone https://deploy:********@git.example.com/app.git /srv"),
        ("git-remote-https origin HTTPS://deploy:hunter2@[::1]:8443/a", "git-remote-https origin HTTPS://deploy:********@[::1]:8443/a"),
        ("git clone https://hunter2@github.com/a/b", "git clone https://********@github.com/a/b"),
        ("curl ftp://u:hun@ter2/hunter2@host/", "curl ftp://u:********@host/"),
        ("psql postgresql://app:hunter2@db:5432/app?sslmode=require", "psql postgresql://app:********@db:5432/app?sslmode=require"),
        ("rsync -a u:hunter2@host::module /a", "rsync -a u:********@host::module /a"),
        ("mysqldump --password=hunter2 app", "mysqldump --password=******** app"),
        ("mysqldump --password hunter2 app", "mysqldump --password ******** app"),
        ("sh -c PGPASSWORD='hunter2 two' psql", "sh -c PGPASSWORD=******** psql"),
        ('sh -c PGPASSWORD="hunter2 two', "sh -c PGPASSWORD=********"),
        ("env MYSQL_PWD=hunter2 AWS_SECRET_ACCESS_KEY=hunter2 TOKEN=hunter2 x", "env MYSQL_PWD=******** AWS_SECRET_ACCESS_KEY=******** TOKEN=******** x"),
        ("vault login -token hunter2", "vault login -token ********"),
        ("curl https://api/?user=a&access_token=hunter2", "curl https://api/?user=a&access_token=********"),
        ("""curl -d {"password": "hunter2", "a": 1}""", """curl -d {"password": "********", "a": 1}"""),
        ("curl -H Authorization: Bearer hunter2 http://api", "curl -H Authorization: Bearer ******** http://api"),
        ("useradd -p x; passwd hunter2", "useradd -p x; passwd ********"),
    ],
)
def test_a_secret_is_masked_by_its_form(text, shown):
    assert mask_words(text) == shown
    assert SECRET not in mask_words(text, cut=True)


@pytest.mark.parametrize("length", range(len("git clone https://deploy:h"), len("git clone https://deploy:hunter2@git.example.com")))
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
    ],
)
def test_what_is_no_secret_stays_as_it_is(text):
    assert mask_words(text) == text
    assert mask_urls(text) == text
