import jwt
from centrifast_loadgen import tokens


def test_a_token_is_what_others_verify() -> None:
    claims = jwt.decode(tokens.sign("load-7", "s3cret" * 8), "s3cret" * 8, algorithms=["HS256"])
    assert claims == {"sub": "load-7"}


def test_users_take_turns_and_without_a_number_are_one_each() -> None:
    assert [tokens.user_of(number, 2) for number in range(3)] == ["load-0", "load-1", "load-0"]
    assert len({tokens.user_of(number, 0) for number in range(50)}) == 50
