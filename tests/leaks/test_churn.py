"""Thousands of connections come and go in a fresh process; afterwards nothing of them is left."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build" / "debug"
BUILD_TIMEOUT = 300.0
CHURN_TIMEOUT = 240.0

CONNECTIONS, ROUNDS = 2000, 10
TOLERANCE = 6 * 1024 * 1024
"""Bytes for the allocator's holes: a third of a KiB for each connection after the first round."""

pytestmark = pytest.mark.timeout(BUILD_TIMEOUT + CHURN_TIMEOUT)


def run(arguments: list[str], timeout: float, environ: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **(environ or {})},
        timeout=timeout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def extensions() -> Path:
    """The extensions with live counters, built when they are missing or old."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run may be building
        run(
            ["setup.py", "build_ext", "--build-lib", str(BUILD / "lib"), "--build-temp", str(BUILD / "temp")],
            BUILD_TIMEOUT,
            {"CENTRIFAST_BUILD": "debug"},
        )
    return BUILD / "lib"


@pytest.fixture(scope="module")
def result(extensions: Path) -> Any:
    """What is left after each round."""
    sizes = ["--connections", str(CONNECTIONS), "--rounds", str(ROUNDS)]
    output = run(["-m", "tests.leaks.churn", *sizes, "--extensions", str(extensions)], CHURN_TIMEOUT)
    return json.loads(output)


def test_no_object_of_a_connection_survives_it(result: Any) -> None:
    nothing = {"sinks": 0, "channels": 0, "subscribers": 0, "members": 0, "connections": 0}
    assert [each["live"] for each in result["rounds"]] == [nothing] * ROUNDS


def test_nobody_is_kept_who_has_gone(result: Any) -> None:
    assert {count for each in result["rounds"] for count in each["kept"].values()} == {0}


def test_no_descriptor_stays_open(result: Any) -> None:
    assert len({each["descriptors"] for each in result["rounds"]}) == 1


def test_memory_does_not_grow(result: Any) -> None:
    resident = [each["resident"] for each in result["rounds"]]
    assert resident[-1] - resident[0] < TOLERANCE


def test_nothing_is_left_to_the_garbage_collector(result: Any) -> None:
    assert result["unreachable"] < CONNECTIONS
