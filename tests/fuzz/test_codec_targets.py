"""The codec targets for a bounded time; tests/fuzz/mutate.py tells how to run them longer."""

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import fuzz_json_command, fuzz_protobuf_command
from tests.fuzz.mutate import ROUNDS_IN_CI, run

TARGETS = [fuzz_json_command, fuzz_protobuf_command]


@pytest.mark.parametrize("target", TARGETS, ids=["json", "protobuf"])
def test_damaged_commands(target: ModuleType) -> None:
    run(target.check, target.SEEDS, rounds=ROUNDS_IN_CI)


@pytest.mark.parametrize("target", TARGETS, ids=["json", "protobuf"])
@given(data=st.binary())
def test_arbitrary_bytes(target: ModuleType, data: bytes) -> None:
    target.check(data)


@given(data=st.text(alphabet='{}[]":,\\nu0123456789dDeE.-+ \n\té'))
def test_arbitrary_text_of_json_characters(data: str) -> None:
    fuzz_json_command.check(data.encode())
