"""The generated modules are committed, so that an installation needs no protoc."""

from pathlib import Path
from types import ModuleType

import pytest
from google.protobuf import descriptor_pb2
from grpc_tools import protoc  # type: ignore[import-untyped]  # ships no types

from centrifast.engine.redis import control_pb2
from centrifast.protocol import client_pb2
from tools.generate_protobuf import ROOT, SCHEMAS, generate, module_of, stub_of


def _forget_json_names(message: descriptor_pb2.DescriptorProto) -> None:
    for field in message.field:
        field.ClearField("json_name")  # protoc adds it for its own plug-ins only
    for nested in message.nested_type:
        _forget_json_names(nested)


@pytest.mark.parametrize(
    ("schema", "module"), list(zip(SCHEMAS, (client_pb2, control_pb2), strict=True)), ids=SCHEMAS
)
def test_the_generated_module_is_that_of_the_schema(tmp_path: Path, schema: str, module: ModuleType) -> None:
    output = tmp_path / "schema.bin"
    assert protoc.main(["protoc", f"-I{ROOT}", f"--descriptor_set_out={output}", schema]) == 0
    (described,) = descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes()).file
    generated = descriptor_pb2.FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(generated)
    for message in described.message_type:
        _forget_json_names(message)
    assert generated.package == described.package == f"centrifast.{Path(schema).stem}"
    assert generated.message_type == described.message_type


def test_generation_writes_each_module_and_its_stub(tmp_path: Path) -> None:
    generate(tmp_path)
    for schema in SCHEMAS:
        assert (tmp_path / module_of(schema)).exists()
        assert (tmp_path / stub_of(schema)).read_text().startswith("# mypy: ignore-errors\n")
