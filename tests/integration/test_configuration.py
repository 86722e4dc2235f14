"""What only a start of the daemon finds wrong with a configuration (server specification 1.7)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("option", ["rsa_public_key", "ecdsa_public_key"])
def test_a_key_that_is_none_passes_the_check_and_fails_the_start(option: str, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"http_server": {"port": 0}, "client": {"token": {option: "no key"}}}))
    command = [sys.executable, "-m", "centrifast"]
    checked = subprocess.run(
        [*command, "checkconfig", "-c", str(config)], capture_output=True, check=False, timeout=50
    )
    assert (checked.returncode, checked.stdout) == (0, b"")
    started = subprocess.run(
        [*command, "-c", str(config)], capture_output=True, check=False, timeout=50, cwd=tmp_path
    )
    assert started.returncode == 1
    assert f"client.token.{option}".encode() in started.stderr
