"""The guide names what is there."""

import re

from centrifast.config.loader import load
from tests.deploy.certificates import Authority
from tests.deploy.proxies import DEPLOY

ROOT = DEPLOY.parent
GUIDE = ROOT / "docs/guides/deploy.md"


def test_every_file_that_is_named_exists() -> None:
    named = set(re.findall(r"deploy/[\w/.-]+\w", GUIDE.read_text()))
    assert {"deploy/nginx/centrifast.conf", "deploy/haproxy/haproxy.cfg", "deploy/docker/Dockerfile"} <= named
    assert not [file for file in named if not (ROOT / file.rstrip(".")).exists()]


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)", GUIDE.read_text()):
        assert (GUIDE.parent / target).exists(), target


def test_its_configuration_is_one(authority: Authority) -> None:
    (text,) = re.findall(r"```json\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    certificate, key = authority.issue("localhost")
    text = text.replace("/etc/centrifast/fullchain.pem", str(certificate))
    text = text.replace("/etc/centrifast/privkey.pem", str(key))
    file = authority.file.parent / "guide.json"
    file.write_text(text)
    loaded = load(file, {}, {})
    assert (loaded.unknown_keys, loaded.warnings) == ((), ())
    assert loaded.config.http_server.internal_port == "8000"
