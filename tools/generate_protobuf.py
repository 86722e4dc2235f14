"""Generate the Protobuf modules: run after every change of a schema."""

from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]  # ships no types

ROOT = Path(__file__).resolve().parent.parent
# Relative to the root, because the path is the file's name in the process-wide descriptor pool: a plain
# "client.proto" would collide with that of a client SDK loaded into the same process.
SCHEMAS = ("centrifast/protocol/client.proto", "centrifast/engine/redis/control.proto")


def module_of(schema: str) -> str:
    """Path of what is generated from a schema."""
    return schema.removesuffix(".proto") + "_pb2.py"


def stub_of(schema: str) -> str:
    """Path of its types."""
    return module_of(schema) + "i"


def generate(target: Path) -> None:
    """Write the modules and their stubs below *target*; raises ``RuntimeError`` if protoc refuses."""
    status = protoc.main(["protoc", f"-I{ROOT}", f"--python_out={target}", f"--pyi_out={target}", *SCHEMAS])
    if status != 0:
        raise RuntimeError(f"protoc failed with status {status}")
    for schema in SCHEMAS:
        stub = target / stub_of(schema)
        stub.write_text("# mypy: ignore-errors\n" + stub.read_text())  # protoc leaves generics open


if __name__ == "__main__":
    generate(ROOT)
