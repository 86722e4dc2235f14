"""Lines of keys in configuration files."""

from pathlib import Path

import pytest

from centrifast.config.lines import line_of

JSON = """{
\t"client": {
\t\t"insecure": true,
    "token.hmac_secret_key": "k"
  },
  "Channel.Namespaces": [
    {"name": "one"},
    {
      "name": "two",
      "history_size": 5
    }
  ],
  "proxies": {
    "name": "single"
  }
}
"""

YAML = """
client:
  insecure: true
  token.hmac_secret_key: k
channel:
  namespaces:
    - name: one
    - name: two
      history_size: 5
proxies:
  name: single
"""

TOML = """
client.insecure = true
[client.token]
hmac_secret_key = '''
[channel]
insecure = 1
'''
[[channel.namespaces]] # first
name = "one"
[[channel.namespaces]]
"name" = "two"
history_size = 5
[channel.namespaces.map]
mode = "x"
[proxies]
http = {tls = {enabled = true}, static_headers = {a = "b"}}
"""


@pytest.mark.parametrize(
    ("file", "text", "lines"),
    [
        (
            "c.json",
            JSON,
            {
                "client": 2,
                "client.insecure": 3,
                "client.token.hmac_secret_key": 4,
                "channel.namespaces": 6,
                "channel.namespaces.[0].name": 7,
                "channel.namespaces.[1]": 8,
                "channel.namespaces.[1].history_size": 10,
                "channel.namespaces.[1].absent": 8,
                "proxies.[0].name": 14,
                "absent": None,
            },
        ),
        (
            "c.yml",
            YAML,
            {
                "client.insecure": 3,
                "client.token.hmac_secret_key": 4,
                "channel.namespaces.[1].history_size": 9,
                "channel.namespaces.[5].name": 6,
                "proxies.[0].name": 11,
                "absent": None,
            },
        ),
        (
            "c.toml",
            TOML,
            {
                "client": 2,
                "client.insecure": 2,
                "client.token.hmac_secret_key": 4,
                "channel.namespaces": 8,
                "channel.namespaces.[0].name": 9,
                "channel.namespaces.[1]": 10,
                "channel.namespaces.[1].name": 11,
                "channel.namespaces.[1].history_size": 12,
                "channel.namespaces.[1].map.mode": 14,
                "proxies.http.tls.enabled": 16,
                "absent": None,
            },
        ),
    ],
)
def test_a_key_is_found(file: str, text: str, lines: dict[str, int | None], tmp_path: Path) -> None:
    path = tmp_path / file
    path.write_text(text)
    assert {name: line_of(path, name) for name in lines} == lines


def test_the_last_of_two_is_meant(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"client.insecure": false,\n"client": {\n"insecure": true}}')
    assert line_of(path, "client.insecure") == 3


def test_a_file_that_can_not_be_read_has_no_lines(tmp_path: Path) -> None:
    assert line_of(tmp_path / "absent.json", "client") is None
    (tmp_path / "c.yaml").write_text("a: [")
    assert line_of(tmp_path / "c.yaml", "a") is None
    (tmp_path / "e.yaml").write_text("")
    assert line_of(tmp_path / "e.yaml", "a") is None
