"""Every row of the permission tables, and pairs of rows that prove which one comes first."""

from dataclasses import fields

import pytest

from centrifast.channels import ChannelRules
from centrifast.client.permissions import (
    Publishing,
    Subscribing,
    check_history,
    check_presence,
    decide_publish,
    decide_subscribe,
    may_have_at_connect,
    may_position,
    may_recover,
    may_see_join_leave,
)
from centrifast.config.schema import ChannelConfig, ChannelOptions
from centrifast.errors import BAD_REQUEST, NOT_AVAILABLE, PERMISSION_DENIED, ClientError, ErrorCode

RULES = ChannelRules(ChannelConfig())

BOOLEANS = {option.name for option in fields(ChannelOptions) if option.type is bool}


def options_with(*switched_on: str) -> ChannelOptions:
    """Return options with these switches; ``history`` and ``json`` stand for what they need."""
    options: dict[str, object] = {}
    for name in switched_on:
        if name == "history":
            options |= {"history_size": 1, "history_ttl": 1.0}
        elif name == "json":
            options["publication_data_format"] = "json"
        elif name == "map":
            options["subscription_type"] = "map"
        else:
            assert name in BOOLEANS
            options[name] = True
    return ChannelOptions(**options)  # type: ignore[arg-type]


# ------------------------------------------------------------------ subscribe (4.1)

CLIENT = "allow_subscribe_for_client"
ANONYMOUS = "allow_subscribe_for_anonymous"
LIMITED = "allow_user_limited_channels"
PROXY = "subscribe_proxy_enabled"
STREAM_PROXY = "subscribe_stream_proxy_enabled"


def subscribe(
    channel: str = "news",
    *on: str,
    user: str = "42",
    token: bool = False,
    insecure: bool = False,
    subscription_type: int = 0,
) -> Subscribing | ErrorCode:
    """Return the outcome, or the error."""
    try:
        return decide_subscribe(
            RULES,
            channel,
            options_with(*on),
            user,
            has_token=token,
            insecure=insecure,
            subscription_type=subscription_type,
        )
    except ClientError as error:
        return error.error


def test_nothing_is_allowed_by_default() -> None:
    assert subscribe() is PERMISSION_DENIED
    assert subscribe(user="") is PERMISSION_DENIED


def test_bad_name_is_refused_before_all_else() -> None:  # 2
    assert subscribe("ü") is BAD_REQUEST
    assert subscribe("$ü") is BAD_REQUEST  # 2 before 4
    assert subscribe("ü", token=True) is BAD_REQUEST  # 2 before 5
    assert subscribe("ü", "map") is BAD_REQUEST  # 2 before 3
    assert subscribe("ü", CLIENT, insecure=True) is BAD_REQUEST


def test_subscription_type_must_fit_even_with_a_token() -> None:  # 3
    assert subscribe("news", CLIENT, subscription_type=1) is PERMISSION_DENIED
    assert subscribe("news", CLIENT, "map") is PERMISSION_DENIED
    assert subscribe("news", "map", token=True) is PERMISSION_DENIED  # 3 before 5
    assert subscribe("news", token=True, subscription_type=1) is PERMISSION_DENIED
    assert subscribe("news", "map", insecure=True) is PERMISSION_DENIED


def test_private_channel_needs_a_token_whatever_else_is_allowed() -> None:  # 4
    assert subscribe("$news") is PERMISSION_DENIED
    assert subscribe("$news", insecure=True) is PERMISSION_DENIED
    assert subscribe("$news", CLIENT) is PERMISSION_DENIED
    assert subscribe("$news#42", LIMITED) is PERMISSION_DENIED
    assert subscribe("$news", PROXY) is PERMISSION_DENIED
    assert subscribe("$news", token=True) is Subscribing.TOKEN_DECIDES


@pytest.mark.parametrize(
    "on", [(), (CLIENT,), (PROXY,), (STREAM_PROXY,), (LIMITED,), (CLIENT, ANONYMOUS, LIMITED, PROXY)]
)
@pytest.mark.parametrize("insecure", [False, True])
@pytest.mark.parametrize("channel", ["news", "news#42", "news#7"])
def test_token_alone_decides(channel: str, on: tuple[str, ...], insecure: bool) -> None:  # 5
    assert subscribe(channel, *on, token=True, insecure=insecure) is Subscribing.TOKEN_DECIDES


def test_listed_user_is_allowed_in_a_user_limited_channel() -> None:  # 6
    assert subscribe("dialog#42,567", LIMITED) is Subscribing.ALLOWED
    assert subscribe("dialog#42", LIMITED, PROXY) is Subscribing.ALLOWED  # 6 before 7
    assert subscribe("dialog#42", LIMITED, STREAM_PROXY) is Subscribing.ALLOWED  # 6 before 8


def test_user_limited_channel_is_closed_to_everybody_else() -> None:
    assert subscribe("dialog#7", LIMITED) is PERMISSION_DENIED
    assert subscribe("dialog#7", LIMITED, CLIENT) is PERMISSION_DENIED  # 9 is not consulted
    assert subscribe("dialog#7", LIMITED, PROXY) is PERMISSION_DENIED  # nor 7
    assert subscribe("dialog#7", LIMITED, STREAM_PROXY) is PERMISSION_DENIED  # nor 8
    assert subscribe("dialog#7", LIMITED, insecure=True) is Subscribing.ALLOWED  # but 10 is


def test_anonymous_user_is_never_listed() -> None:
    assert subscribe("dialog#", LIMITED, user="") is PERMISSION_DENIED
    assert subscribe("dialog#", LIMITED, CLIENT, ANONYMOUS, user="") is PERMISSION_DENIED


def test_user_boundary_is_an_ordinary_character_without_the_option() -> None:
    assert subscribe("dialog#7", CLIENT) is Subscribing.ALLOWED
    assert subscribe("dialog#7", PROXY) is Subscribing.PROXY_DECIDES


def test_proxy_decides_before_everything_that_follows() -> None:  # 7
    assert subscribe("news", PROXY) is Subscribing.PROXY_DECIDES
    assert subscribe("news", PROXY, STREAM_PROXY) is Subscribing.PROXY_DECIDES  # 7 before 8
    assert subscribe("news", PROXY, CLIENT) is Subscribing.PROXY_DECIDES  # 7 before 9
    assert subscribe("news", PROXY, insecure=True) is Subscribing.PROXY_DECIDES  # 7 before 10
    assert subscribe("news#42", LIMITED, PROXY, user="7") is PERMISSION_DENIED


def test_stream_proxy_decides_before_everything_that_follows() -> None:  # 8
    assert subscribe("news", STREAM_PROXY) is Subscribing.STREAM_PROXY_DECIDES
    assert subscribe("news", STREAM_PROXY, CLIENT) is Subscribing.STREAM_PROXY_DECIDES  # 8 before 9
    assert subscribe("news", STREAM_PROXY, insecure=True) is Subscribing.STREAM_PROXY_DECIDES  # 8 before 10


@pytest.mark.parametrize(
    ("on", "user", "allowed"),
    [
        ((CLIENT,), "42", True),
        ((CLIENT,), "", False),
        ((CLIENT, ANONYMOUS), "", True),
        ((CLIENT, ANONYMOUS), "42", True),
        ((ANONYMOUS,), "", False),  # no effect alone
        ((ANONYMOUS,), "42", False),
    ],
)
def test_open_channels(on: tuple[str, ...], user: str, allowed: bool) -> None:  # 9, 11
    assert subscribe("news", *on, user=user) is (Subscribing.ALLOWED if allowed else PERMISSION_DENIED)


def test_insecure_allows_the_rest() -> None:  # 10
    assert subscribe("news", insecure=True) is Subscribing.ALLOWED
    assert subscribe("news", CLIENT, user="", insecure=True) is Subscribing.ALLOWED


# ------------------------------------------------------------------ connect.subs (end of 4.1)


def at_connect(channel: str, *on: str, user: str = "42", insecure: bool = False) -> bool:
    return may_have_at_connect(RULES, channel, options_with(*on), user, insecure=insecure)


def test_client_may_have_at_connect_what_it_could_subscribe_to() -> None:
    assert at_connect("news", CLIENT)
    assert at_connect("news", CLIENT, ANONYMOUS, user="")
    assert at_connect("dialog#42", LIMITED)
    assert at_connect("news", insecure=True)
    assert at_connect("dialog#7", LIMITED, insecure=True)


def test_client_may_not_have_at_connect_what_it_could_not_subscribe_to() -> None:
    assert not at_connect("news")
    assert not at_connect("news", CLIENT, user="")
    assert not at_connect("dialog#7", LIMITED, CLIENT)
    assert not at_connect("dialog#", LIMITED, user="")
    assert not at_connect("$news", CLIENT)
    assert not at_connect("$news", insecure=True)
    assert not at_connect("ü", CLIENT, insecure=True)
    assert not at_connect("news", "map", CLIENT)


@pytest.mark.parametrize("proxy", [PROXY, STREAM_PROXY])
def test_channels_of_a_proxy_are_not_granted_at_connect(proxy: str) -> None:
    assert not at_connect("news", proxy, CLIENT)
    assert not at_connect("dialog#42", proxy, LIMITED)
    assert not at_connect("news", proxy, insecure=True)


# ------------------------------------------------------------------ publish (4.2)

PUBLISH_PROXY = "publish_proxy_enabled"
BIDIRECTIONAL = "subscribe_stream_proxy_bidirectional"
BY_CLIENT = "allow_publish_for_client"
BY_SUBSCRIBER = "allow_publish_for_subscriber"
BY_ANONYMOUS = "allow_publish_for_anonymous"


def publish(
    *on: str,
    channel: str = "news",
    user: str = "42",
    data: bytes = b"{}",
    subscribed: bool = False,
    insecure: bool = False,
) -> Publishing | ErrorCode:
    """Return the outcome, or the error."""
    try:
        return decide_publish(
            RULES, channel, options_with(*on), user, data, subscribed=subscribed, insecure=insecure
        )
    except ClientError as error:
        return error.error


def test_publishing_is_denied_by_default() -> None:  # 9
    assert publish() is PERMISSION_DENIED
    assert publish(subscribed=True) is PERMISSION_DENIED


def test_bad_name_or_data_is_refused_before_all_else() -> None:  # 2, 3
    assert publish(BY_CLIENT, channel="ü") is BAD_REQUEST
    assert publish(PUBLISH_PROXY, channel="ü") is BAD_REQUEST
    assert publish(BY_CLIENT, data=b"") is BAD_REQUEST
    assert publish(PUBLISH_PROXY, data=b"") is BAD_REQUEST  # 3 before 4
    assert publish(PUBLISH_PROXY, "json", data=b"{") is BAD_REQUEST
    assert publish(STREAM_PROXY, data=b"") is BAD_REQUEST  # 3 before 5
    assert publish(data=b"") is BAD_REQUEST  # 3 before 9
    assert publish(data=b"", insecure=True) is BAD_REQUEST


def test_publish_proxy_decides_before_everything_that_follows() -> None:  # 4
    assert publish(PUBLISH_PROXY) is Publishing.PROXY_DECIDES
    assert publish(PUBLISH_PROXY, STREAM_PROXY) is Publishing.PROXY_DECIDES
    assert publish(PUBLISH_PROXY, BY_CLIENT) is Publishing.PROXY_DECIDES
    assert publish(PUBLISH_PROXY, insecure=True) is Publishing.PROXY_DECIDES


def test_stream_proxy_takes_publications_of_subscribers_if_it_is_bidirectional() -> None:  # 5
    assert publish(STREAM_PROXY, BIDIRECTIONAL, subscribed=True) is Publishing.STREAM_PROXY_TAKES
    assert publish(STREAM_PROXY, BIDIRECTIONAL) is NOT_AVAILABLE
    assert publish(STREAM_PROXY, subscribed=True) is NOT_AVAILABLE
    assert publish(STREAM_PROXY, BY_CLIENT) is NOT_AVAILABLE  # 5 before 6
    assert publish(STREAM_PROXY, insecure=True) is NOT_AVAILABLE  # 5 before 8
    assert publish(BIDIRECTIONAL, subscribed=True) is PERMISSION_DENIED


@pytest.mark.parametrize(
    ("on", "user", "subscribed", "allowed"),
    [
        ((BY_CLIENT,), "42", False, True),
        ((BY_CLIENT,), "", True, False),
        ((BY_CLIENT, BY_ANONYMOUS), "", False, True),
        ((BY_SUBSCRIBER,), "42", True, True),
        ((BY_SUBSCRIBER,), "42", False, False),
        ((BY_SUBSCRIBER,), "", True, False),
        ((BY_SUBSCRIBER, BY_ANONYMOUS), "", True, True),
        ((BY_SUBSCRIBER, BY_ANONYMOUS), "", False, False),
        ((BY_ANONYMOUS,), "", True, False),
    ],
)
def test_who_may_publish(on: tuple[str, ...], user: str, subscribed: bool, allowed: bool) -> None:  # 6, 7
    expected = Publishing.ALLOWED if allowed else PERMISSION_DENIED
    assert publish(*on, user=user, subscribed=subscribed) is expected


def test_insecure_allows_to_publish() -> None:  # 8
    assert publish(insecure=True) is Publishing.ALLOWED
    assert publish(insecure=True, user="") is Publishing.ALLOWED


def test_private_or_user_limited_name_gives_no_right_to_publish_and_takes_none() -> None:
    assert publish(LIMITED, channel="dialog#42") is PERMISSION_DENIED
    assert publish(LIMITED, BY_CLIENT, channel="dialog#7") is Publishing.ALLOWED
    assert publish(BY_CLIENT, channel="$news") is Publishing.ALLOWED


# ------------------------------------------------------------------ presence (4.3) and history (4.4)

FEATURES = pytest.mark.parametrize("feature", ["presence", "history"])


def look(
    feature: str,
    *on: str,
    channel: str = "news",
    user: str = "42",
    subscribed: bool = False,
    insecure: bool = False,
) -> ErrorCode | None:
    """Return the error or None; ``client`` stands for ``allow_<feature>_for_client``, and so on."""
    short = {"client", "subscriber", "anonymous"}
    options = options_with(*(f"allow_{feature}_for_{name}" if name in short else name for name in on))
    check = check_presence if feature == "presence" else check_history
    try:
        check(RULES, channel, options, user, subscribed=subscribed, insecure=insecure)
    except ClientError as error:
        return error.error
    return None


@FEATURES
def test_bad_name_is_refused_before_the_feature_is_asked_for(feature: str) -> None:
    assert look(feature, channel="ü") is BAD_REQUEST
    assert look(feature, feature, "client", channel="ü", insecure=True) is BAD_REQUEST


@FEATURES
def test_feature_must_be_on_before_permission_is_asked_for(feature: str) -> None:
    assert look(feature) is NOT_AVAILABLE
    assert look(feature, "client") is NOT_AVAILABLE
    assert look(feature, insecure=True) is NOT_AVAILABLE


@FEATURES
@pytest.mark.parametrize(
    ("on", "user", "subscribed", "allowed"),
    [
        ((), "42", True, False),
        (("client",), "42", False, True),
        (("client",), "", True, False),
        (("client", "anonymous"), "", False, True),
        (("subscriber",), "42", True, True),
        (("subscriber",), "42", False, False),
        (("subscriber",), "", True, False),
        (("subscriber", "anonymous"), "", True, True),
        (("subscriber", "anonymous"), "", False, False),
        (("anonymous",), "", True, False),
    ],
)
def test_who_may_look(feature: str, on: tuple[str, ...], user: str, subscribed: bool, allowed: bool) -> None:
    expected = None if allowed else PERMISSION_DENIED
    assert look(feature, feature, *on, user=user, subscribed=subscribed) is expected


@FEATURES
def test_insecure_allows_to_look(feature: str) -> None:
    assert look(feature, feature, user="", insecure=True) is None


@pytest.mark.parametrize("missing", ["history_size", "history_ttl"])
def test_history_needs_size_and_ttl(missing: str) -> None:
    settings: dict[str, object] = {"history_size": 1, "history_ttl": 1.0, missing: 0}
    options = ChannelOptions(allow_history_for_client=True, **settings)  # type: ignore[arg-type]
    with pytest.raises(ClientError) as caught:
        check_history(RULES, "news", options, "42", subscribed=True, insecure=True)
    assert caught.value.error is NOT_AVAILABLE


# ------------------------------------------------------------------ what a subscriber may ask for (3.7)


@pytest.mark.parametrize(
    ("on", "user", "allowed"),
    [
        ((), "42", False),
        (("allow_history_for_client",), "42", True),
        (("allow_history_for_client",), "", False),
        (("allow_history_for_subscriber",), "42", True),  # as if it were subscribed
        (("allow_history_for_subscriber", "allow_history_for_anonymous"), "", True),
    ],
)
def test_history_access_gives_positioning_and_recovery(on: tuple[str, ...], user: str, allowed: bool) -> None:
    assert may_position(options_with(*on), user, insecure=False) is allowed
    assert may_recover(options_with(*on), user, insecure=False) is allowed


def test_positioning_and_recovery_can_be_allowed_alone() -> None:
    assert may_position(options_with("allow_positioning"), "", insecure=False)
    assert not may_recover(options_with("allow_positioning"), "42", insecure=False)
    assert may_recover(options_with("allow_recovery"), "", insecure=False)
    assert not may_position(options_with("allow_recovery"), "42", insecure=False)


def test_insecure_gives_positioning_and_recovery() -> None:
    assert may_position(options_with(), "", insecure=True)
    assert may_recover(options_with(), "", insecure=True)


def test_join_leave_needs_the_option_and_presence_access() -> None:
    assert not may_see_join_leave(options_with("allow_presence_for_client"), "42", insecure=True)
    assert not may_see_join_leave(options_with("join_leave"), "42", insecure=False)
    assert may_see_join_leave(
        options_with("join_leave", "allow_presence_for_subscriber"), "42", insecure=False
    )
    assert not may_see_join_leave(options_with("join_leave", "allow_presence_for_client"), "", insecure=False)
    assert may_see_join_leave(options_with("join_leave"), "", insecure=True)
