"""The shape of the source tree: imports go down, every module has its test, nothing grows too large."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "centrifast"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("cli", "__main__"),
    ("doctor",),
    ("app", "daemon", "engines", "farewell", "process", "reload", "workers"),
    ("endpoints",),
    ("server", "api", "transports", "consumers"),
    ("client",),
    ("node", "control"),
    ("admission", "subscription_rules", "subscriptions", "history_options"),
    ("positions", "catch_up", "recovered_cache", "slow_clients", "taps"),
    ("interest", "recovery"),
    ("auth", "hub", "engine", "calls"),
    ("delivery",),
    ("metrics",),
    ("protocol", "_channel", "_core", "_fossil", "_framing", "_intake", "_metrics", "_wheel"),
    ("channels",),
    ("config",),
    ("background",),
    (
        "errors",
        "limits",
        "model",
        "clock",
        "eager",
        "glob",
        "log",
        "log_output",
        "pid_file",
        "systemd",
        "trim",
        "__init__",
    ),
)
"""From top to bottom; a module imports from its own row and those below."""

IO_MODULES = {"asyncio", "socket", "ssl", "os", "time", "random", "logging", "uvloop", "picows", "threading"}

WITHOUT_OWN_TEST = {
    "__init__.py": "holds the version only",
    "__main__.py": "calls cli.main; run by every test that starts the daemon",
    "calls.py": "declarations, tested through control",
    "endpoints.py": "tested by tests/integration through the running daemon",
    "app.py": "tested by tests/integration and tests/sdk through the running daemon",
    "daemon.py": "tested by tests/integration through the running daemon",
    "process.py": "tested by tests/integration through the running daemon",
    "workers/supervisor.py": "tested by tests/integration through the running daemon",
    "limits.py": "constants",
    "protocol/wire.py": "declarations, tested through both codecs",
    "protocol/codec.py": "a contract, tested through both codecs",
    "protocol/client_pb2.py": "generated",
    "engine/contract.py": "a contract, tested by tests/contract",
    "engine/redis/contract.py": "a contract, kept by shard and lane",
    "engine/messages.py": "declarations, tested through both ends of a link",
    "auth/claims.py": "values, tested through tokens",
    "auth/errors.py": "two exceptions, tested through tokens",
    "client/transport.py": "a contract; close_with is tested through sessions",
}

MODULE_LINES, CYTHON_LINES, FUNCTION_LINES, PUBLIC_METHODS = 400, 800, 40, 15


def sources() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if not path.name.endswith("_pb2.py")]


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def layer_of(module: str) -> int:
    for index, names in enumerate(LAYERS):
        if module in names:
            return index
    raise AssertionError(f"centrifast.{module} stands in no layer: add it to LAYERS and ARCHITECTURE.md")


def imports_of(path: Path) -> Iterator[str]:
    """Modules of ours that *path* imports at run time: the first name below ``centrifast``."""
    tree = ast.parse(path.read_text())
    type_checking = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if node in type_checking:
            continue
        if isinstance(node, ast.ImportFrom) and node.module == "centrifast":
            yield from (alias.name for alias in node.names if alias.name not in ("__version__",))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("centrifast."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (
                alias.name.split(".")[1] for alias in node.names if alias.name.startswith("centrifast.")
            )


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    own = layer_of(module_of(path))
    for module in imports_of(path):
        assert layer_of(module) >= own, (
            f"{path.relative_to(ROOT)} imports centrifast.{module}, which is above it"
        )


def test_the_protocol_imports_no_io() -> None:
    for path in (PACKAGE / "protocol").glob("*.py"):
        if path.name.endswith("_pb2.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                assert name.split(".")[0] not in IO_MODULES, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_has_its_test(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    if str(relative) in WITHOUT_OWN_TEST or relative.name == "__init__.py":
        return
    expected = ROOT / "tests" / relative.parent / f"test_{relative.name.lstrip('_')}"
    assert expected.exists(), f"{expected.relative_to(ROOT)} is missing"


@pytest.mark.parametrize(
    "path",
    [*sources(), *sorted(PACKAGE.rglob("*.pyx"))],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_nothing_grows_too_large(path: Path) -> None:
    text = path.read_text()
    limit = CYTHON_LINES if path.suffix == ".pyx" else MODULE_LINES
    assert text.count("\n") <= limit, f"{path.name} holds more than one idea"
    if path.suffix == ".pyx":
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node, clean=False)
            length = (node.end_lineno or 0) - node.lineno + 1 - (documented or "").count("\n")
            assert length <= FUNCTION_LINES, f"{path.name}: {node.name} has {length} lines"
        elif isinstance(node, ast.ClassDef):
            public = [
                item.name
                for item in node.body
                if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) and not item.name.startswith("_")
            ]
            assert len(public) <= PUBLIC_METHODS, f"{path.name}: {node.name} has {len(public)} public methods"


def test_extensions_are_not_older_than_their_sources() -> None:
    for source in PACKAGE.rglob("*.pyx"):
        built = list(source.parent.glob(f"{source.stem}.cpython-*.so"))
        assert built, f"{source.name} is not built: make build"
        inputs = [source, *PACKAGE.rglob("*.pxd")]
        newest = max(path.stat().st_mtime for path in inputs)
        assert built[0].stat().st_mtime >= newest, f"{source.name} is newer than what is built: make build"
