"""The generated module is committed, so that an installation needs no protoc."""

from pathlib import Path

from google.protobuf import descriptor_pb2
from grpc_tools import protoc  # type: ignore[import-untyped]  # ships no types

from centrifast.protocol import client_pb2
from tools.generate_protobuf import ROOT, SCHEMA, STUB, generate


def _forget_json_names(message: descriptor_pb2.DescriptorProto) -> None:
    for field in message.field:
        field.ClearField("json_name")  # protoc adds it for its own plug-ins only
    for nested in message.nested_type:
        _forget_json_names(nested)


def test_the_generated_module_is_that_of_the_schema(tmp_path: Path) -> None:
    output = tmp_path / "schema.bin"
    assert protoc.main(["protoc", f"-I{ROOT}", f"--descriptor_set_out={output}", SCHEMA]) == 0
    (schema,) = descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes()).file
    generated = descriptor_pb2.FileDescriptorProto()
    client_pb2.DESCRIPTOR.CopyToProto(generated)
    for message in schema.message_type:
        _forget_json_names(message)
    assert generated.package == schema.package == "centrifast.client"
    assert generated.message_type == schema.message_type


def test_generation_writes_the_module_and_its_stub(tmp_path: Path) -> None:
    generate(tmp_path)
    assert (tmp_path / SCHEMA).with_name("client_pb2.py").exists()
    assert (tmp_path / STUB).read_text().startswith("# mypy: ignore-errors\n")
