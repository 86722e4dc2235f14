"""Generate the Protobuf module of the client protocol: run after every change of client.proto."""

from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]  # ships no types

ROOT = Path(__file__).resolve().parent.parent
# Relative to the root, because the path is the file's name in the process-wide descriptor pool: a plain
# "client.proto" would collide with that of a client SDK loaded into the same process.
SCHEMA = "centrifast/protocol/client.proto"
STUB = "centrifast/protocol/client_pb2.pyi"


def generate(target: Path) -> None:
    """Write ``client_pb2.py`` and its stub below *target*; raises ``RuntimeError`` if protoc refuses."""
    status = protoc.main(["protoc", f"-I{ROOT}", f"--python_out={target}", f"--pyi_out={target}", SCHEMA])
    if status != 0:
        raise RuntimeError(f"protoc failed with status {status}")
    stub = target / STUB
    stub.write_text("# mypy: ignore-errors\n" + stub.read_text())  # protoc leaves generics open


if __name__ == "__main__":
    generate(ROOT)
