"""Names of channels: namespaces, allowed characters, user lists, and the check of published data."""

from dataclasses import replace

import pytest

from centrifast.channels import ChannelRules
from centrifast.config.schema import ChannelConfig, ChannelOptions, Namespace
from centrifast.errors import BAD_REQUEST, UNKNOWN_CHANNEL, ClientError

PLAIN = ChannelOptions(history_size=1)
CHAT = Namespace(name="chat")
CONFIG = ChannelConfig(without_namespace=PLAIN, namespaces=(CHAT, Namespace(name="news.sport")))
RULES = ChannelRules(CONFIG)

LIMITED = ChannelOptions(allow_user_limited_channels=True)


# ------------------------------------------------------------------ namespaces


@pytest.mark.parametrize(
    ("channel", "namespace", "rest"),
    [
        ("news", "", "news"),
        ("$news", "", "news"),
        ("chat:x", "chat", "x"),
        ("$chat:x", "chat", "x"),
        ("chat:", "chat", ""),
        ("chat:a:b", "chat", "a:b"),
        ("chat:$x", "chat", "$x"),
        ("chat", "", "chat"),
        (":abc", "", "abc"),
        ("$:abc", "", "abc"),
        ("::abc", "", ":abc"),
        ("$$chat:x", "$chat", "x"),  # only one prefix is removed
        ("news.sport:1", "news.sport", "1"),
        ("Chat:x", "Chat", "x"),
        ("", "", ""),
        ("$", "", ""),
        ("чат:x", "чат", "x"),
    ],
)
def test_namespace_is_the_text_before_the_first_boundary(channel: str, namespace: str, rest: str) -> None:
    assert RULES.namespace_of(channel) == namespace
    assert RULES.rest_of(channel) == rest


@pytest.mark.parametrize("channel", ["news", "$news", "chat", ":abc", "$:abc", "::abc", "", "$"])
def test_name_without_namespace_uses_the_options_without_namespace(channel: str) -> None:
    assert RULES.options_of(channel) is PLAIN


@pytest.mark.parametrize("channel", ["chat:x", "$chat:x", "chat:", "chat:a:b", "chat:#1"])
def test_name_with_a_known_namespace_uses_its_options(channel: str) -> None:
    assert RULES.options_of(channel) is CHAT


@pytest.mark.parametrize("channel", ["other:x", "$other:x", "Chat:x", "$$chat:x", "chat :x", "чат:x"])
def test_unknown_namespace_is_an_unknown_channel(channel: str) -> None:
    with pytest.raises(ClientError) as caught:
        RULES.options_of(channel)
    assert caught.value.error is UNKNOWN_CHANNEL


def test_boundaries_of_several_characters_are_taken_whole() -> None:
    rules = ChannelRules(replace(CONFIG, private_prefix="priv-", namespace_boundary="::"))
    assert rules.options_of("priv-chat::x") is CHAT
    assert rules.rest_of("priv-chat::x::y") == "x::y"
    assert rules.options_of("chat:x") is PLAIN


def test_prefix_that_contains_the_boundary_is_removed_first() -> None:
    rules = ChannelRules(replace(CONFIG, private_prefix="p:"))
    assert rules.options_of("p:chat:x") is CHAT


@pytest.mark.parametrize("channel", ["chat:x", "$chat:x", "x", ""])
def test_empty_boundary_means_no_namespaces(channel: str) -> None:
    rules = ChannelRules(replace(CONFIG, namespace_boundary=""))
    assert rules.options_of(channel) is PLAIN
    assert rules.namespace_of(channel) == ""
    assert rules.rest_of(channel) == channel.removeprefix("$")


# ------------------------------------------------------------------ private channels and length


def test_private_channel_starts_with_the_prefix() -> None:
    assert RULES.is_private("$news")
    assert RULES.is_private("$chat:x")
    assert not RULES.is_private("news$")
    assert not RULES.is_private("chat:$x")


def test_empty_prefix_makes_no_channel_private() -> None:
    rules = ChannelRules(replace(CONFIG, private_prefix=""))
    assert not rules.is_private("news")
    assert rules.options_of("chat:x") is CHAT


def test_length_is_counted_in_bytes() -> None:
    assert not RULES.is_too_long("x" * 255)
    assert RULES.is_too_long("x" * 256)
    assert not RULES.is_too_long("я" * 127 + "x")
    assert RULES.is_too_long("я" * 128)


def test_length_limit_of_zero_is_none() -> None:
    assert not ChannelRules(replace(CONFIG, max_length=0)).is_too_long("x" * 10_000)


# ------------------------------------------------------------------ allowed characters


def check(regex: str, channel: str) -> bool:
    """Say whether *channel* passes when every namespace has this regex."""
    plain = ChannelOptions(channel_regex=regex)
    chat = Namespace(name="chat", channel_regex=regex)
    rules = ChannelRules(ChannelConfig(without_namespace=plain, namespaces=(chat,)))
    try:
        rules.check_name(rules.options_of(channel), channel)
    except ClientError as refused:
        if refused.error is not BAD_REQUEST:
            raise
        return False
    return True


def test_without_regex_the_whole_name_must_be_ascii() -> None:
    assert check("", "chat:~ /*&\x00#1,2")
    assert not check("", "chat:ü")
    assert not check("", "новости")


def test_regex_is_searched_not_matched() -> None:
    assert check("[0-9]", "chat:room7b")
    assert not check("[0-9]", "chat:room")
    assert not check("^[0-9]", "chat:room7")


def test_regex_sees_the_rest_after_the_namespace_only() -> None:
    assert check("^room$", "chat:room")
    assert check("^room$", "$chat:room")
    assert not check("chat", "chat:room")
    assert check("^a:b$", "chat:a:b")


def test_regex_sees_the_whole_name_without_prefix_when_there_is_no_namespace() -> None:
    assert check("^room$", "room")
    assert check("^room$", "$room")
    assert check("^room$", ":room")


def test_regex_replaces_the_ascii_rule() -> None:
    assert check("^.$", "chat:ü")
    assert not check("^\\w$", "chat:ü")


def test_end_of_pattern_means_end_of_text() -> None:
    assert not check("^room$", "chat:room\n")


# ------------------------------------------------------------------ user-limited channels


def test_user_boundary_counts_only_where_it_is_allowed() -> None:
    assert RULES.is_user_limited(LIMITED, "dialog#42")
    assert RULES.is_user_limited(LIMITED, "#42")
    assert not RULES.is_user_limited(LIMITED, "dialog")
    assert not RULES.is_user_limited(PLAIN, "dialog#42")


@pytest.mark.parametrize(
    ("channel", "user", "listed"),
    [
        ("dialog#42", "42", True),
        ("dialog#42,567", "42", True),
        ("dialog#42,567", "567", True),
        ("dialog#42,567", "4", False),
        ("dialog#42,567", "42,567", False),
        ("dialog#42, 567", "567", False),  # no trimming
        ("dialog#42, 567", " 567", True),
        ("a#1#2", "2", True),
        ("a#1#2", "1", False),
        ("dialog", "dialog", False),
        ("dialog#", "", False),
        ("dialog#,42", "", False),
        ("dialog#42", "", False),
        ("dialog#Ann", "ann", False),
        ("$dialog#42", "42", True),
    ],
)
def test_user_is_listed_after_the_last_boundary(channel: str, user: str, listed: bool) -> None:
    assert RULES.is_user_listed(channel, user) is listed


def test_without_separator_there_is_one_user() -> None:
    rules = ChannelRules(replace(CONFIG, user_separator=""))
    assert rules.is_user_listed("dialog#42,567", "42,567")
    assert not rules.is_user_listed("dialog#42,567", "42")


def test_without_user_boundary_nothing_is_user_limited() -> None:
    rules = ChannelRules(replace(CONFIG, user_boundary=""))
    assert not rules.is_user_limited(LIMITED, "dialog#42")
    assert not rules.is_user_listed("dialog#42", "42")


def test_personal_channel_has_a_boundary_only_with_a_namespace() -> None:
    assert RULES.personal_channel("", "42") == "#42"
    assert RULES.personal_channel("chat", "42") == "chat:#42"


# ------------------------------------------------------------------ data


def accepts(data: bytes, data_format: str = "", default: str = "") -> bool:
    rules = ChannelRules(ChannelConfig(publication_data_format=default))
    return rules.check_data(ChannelOptions(publication_data_format=data_format), data)


def test_by_default_only_empty_data_is_refused() -> None:
    assert not accepts(b"")
    assert accepts(b"{}")
    assert accepts(b"not json \xff")


def test_binary_accepts_empty_data_too() -> None:
    assert accepts(b"", "binary")
    assert accepts(b"\xff", "binary")


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b' {"a": [1, 2.5e3, null, true]} ',
        b"[]",
        b"1",
        b'"x"',
        b"null",
        '{"ä":"€"}'.encode(),
        b"\n{}\n",
    ],
)
def test_json_accepts_any_json_text(data: bytes) -> None:
    assert accepts(data, "json")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"{} {}",
        b"{a:1}",
        b"{'a':1}",
        b'{"a":1,}',
        b"[1 2]",
        b"01",
        b"+1",
        b"1.",
        b"NaN",
        b"nul",
        b'"\x01"',
        b'"\\x"',
        b'"\xff"',
        b'{"a":"\xc3"}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("data_format", ["json", "json_object"])
def test_json_refuses_everything_else(data: bytes, data_format: str) -> None:
    assert not accepts(data, data_format)


def test_json_object_needs_an_object_on_top() -> None:
    assert accepts(b"{}", "json_object")
    assert accepts(b' \r\n\t{"a":1}', "json_object")
    assert not accepts(b"[{}]", "json_object")
    assert not accepts(b"1", "json_object")


def test_format_of_the_namespace_beats_the_default() -> None:
    assert not accepts(b"x", default="json")
    assert accepts(b"x", "binary", default="json")
    assert not accepts(b"x", "json", default="binary")
