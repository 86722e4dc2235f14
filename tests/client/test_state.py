"""Where a session is in its life: what each state means for commands."""

import pytest

from centrifast.client.state import TAKES_COMMANDS, State


@pytest.mark.parametrize("state", State)
def test_commands_are_taken_until_a_connect_has_failed_or_the_session_is_over(state: State) -> None:
    assert (state in TAKES_COMMANDS) == (state not in (State.FAILED, State.CLOSED))
