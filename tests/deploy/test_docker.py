"""The shipped Dockerfile. There is no daemon of Docker where tests run, so its steps are taken by hand."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.dockerfile import Dockerfile, exec_form, sent_files
from tests.deploy.proxies import DEPLOY
from tests.server_process import BASE_CONFIG, ServerProcess

ROOT = DEPLOY.parent
FILE = DEPLOY / "docker/Dockerfile"
IGNORED = DEPLOY / "docker/Dockerfile.dockerignore"
PREFIX = "/opt/centrifast"


@pytest.fixture(scope="module")
def dockerfile() -> Dockerfile:
    return Dockerfile.read(FILE)


def context_files() -> list[str]:
    """What a build from the work tree is given, of all that lies about there."""
    files = [path.name for path in ROOT.iterdir()]
    for folder in ("centrifast", "tools", "deploy"):
        files += [str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*")]
    return sent_files(ROOT, IGNORED, files)


def test_the_image_does_not_run_as_root(dockerfile: Dockerfile) -> None:
    assert dockerfile.stages[-1].last("USER") == "1000:1000"


def test_it_has_the_layout_of_the_original(dockerfile: Dockerfile) -> None:
    image = dockerfile.stages[-1]
    assert image.last("WORKDIR") == "/centrifast"
    assert image.last("EXPOSE") == "8000"
    assert exec_form(image.last("CMD")) == ["centrifast"]
    assert not image.all("ENTRYPOINT")  # `command: centrifugo -c config.json` replaces CMD
    for name in ("centrifast", "centrifugo"):
        assert f"ln -s {PREFIX}/bin/centrifast /usr/local/bin/{name}" in image.steps
    assert "ln -s /centrifast /centrifugo" in image.steps


def test_stages_build_on_each_other(dockerfile: Dockerfile) -> None:
    first, last = dockerfile.stages
    assert first.base == last.base  # the environment of the first works in the second
    assert last.all("COPY") == [f"--from={first.name} {PREFIX} {PREFIX}"]
    assert "gcc" not in " ".join(last.steps)


def test_every_file_that_is_copied_is_sent(dockerfile: Dockerfile) -> None:
    sent = context_files()
    for copy in dockerfile.stages[0].all("COPY"):
        for source in copy.split()[:-1]:
            assert any(file == source or file.startswith(f"{source}/") for file in sent), source


def test_nothing_that_is_built_or_secret_is_sent() -> None:
    sent = context_files()
    assert not [file for file in sent if file.endswith((".so", ".c", ".pyc"))]
    assert {file.split("/")[0] for file in sent} == {
        "pyproject.toml", "setup.py", "README.md", "LICENSE", "centrifast", "tools",
    }  # fmt: skip
    assert "centrifast/_core.pyx" in sent


# --------------------------------------------------------------- its steps


@pytest.fixture(scope="module")
def prefix(dockerfile: Dockerfile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first stage makes, made of the files it is given, elsewhere than in /opt."""
    place = tmp_path_factory.mktemp("image")
    source, prefix = place / "source", place / "centrifast"
    for file in context_files():
        (source / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, source / file)
    steps = [step for step in dockerfile.stages[0].steps if not step.startswith(("apt-get", "rm "))]
    assert [step.split()[:3] for step in steps] == [
        ["python", "-m", "venv"],
        [f"{PREFIX}/bin/pip", "install", "--no-cache-dir"],
    ]
    for step in steps:
        words = [word.replace(PREFIX, str(prefix)) for word in step.split() if word != "--no-cache-dir"]
        program = sys.executable if words[0] == "python" else words[0]
        subprocess.run([program, *words[1:]], cwd=source, check=True, capture_output=True, timeout=600)
    return prefix


@contextmanager
def image_environment(dockerfile: Dockerfile) -> Iterator[None]:
    """The variables that the image sets."""
    with pytest.MonkeyPatch.context() as patch:
        for setting in dockerfile.stages[-1].last("ENV").split():
            patch.setenv(*setting.split("=", 1))
        yield


@pytest.mark.timeout(600)
def test_what_is_built_runs_and_its_health_check_works(
    dockerfile: Dockerfile, prefix: Path, tmp_path: Path
) -> None:
    program = str(prefix / "bin/centrifast")
    without_health = {key: value for key, value in BASE_CONFIG.items() if key != "health"}
    with image_environment(dockerfile):
        server = ServerProcess(tmp_path, command=[program])
        server.config = without_health | {"http_server": {"port": server.port}}
        check = exec_form(dockerfile.stages[-1].last("HEALTHCHECK"))
        assert check[0] == "centrifast"
        command = [program, *check[1:], "-c", str(tmp_path / f"config-{server.port}.json")]
        with server:
            subprocess.run(command, check=True, timeout=30)
        assert subprocess.run(command, check=False, capture_output=True, timeout=30).returncode == 1
