"""Options of connections and their tokens."""

from dataclasses import dataclass

from centrifast.config.option import Support, items, option, section
from centrifast.config.schema_proxy import SwitchedProxyConfig


@dataclass(frozen=True, slots=True)
class TokenConfig:
    """How JSON Web Tokens are verified."""

    hmac_secret_key: str = option("", "Key of HS256, HS384 and HS512.", secret=True)
    hmac_previous_secret_key: str = option(
        "", "Older key, tried when the current one does not fit.", secret=True
    )
    hmac_previous_secret_key_valid_until: int = option(
        0, "Time until which the previous key counts; 0 = forever.", unit="Unix seconds", min=0
    )
    rsa_public_key: str = option("", "PEM of a public key or certificate for RS256, RS384, RS512.")
    ecdsa_public_key: str = option("", "PEM of a public key or certificate for ES256, ES384, ES512.")
    jwks_public_endpoint: str = option("", "URL of a key set; when set, the static keys are not used.")
    audience: str = option("", "Required `aud`.")
    audience_regex: str = option("", "Pattern for `aud`; its named groups fill the key set URL.")
    issuer: str = option("", "Required `iss`.")
    issuer_regex: str = option("", "Pattern for `iss`; its named groups fill the key set URL.")
    user_id_claim: str = option("", "Claim that carries the user id, instead of `sub`.")
    insecure_skip_jwks_endpoint_safety_check: bool = option(
        False, "Allow free-form groups in the key set URL: tokens then choose where their key is looked for."
    )


@dataclass(frozen=True, slots=True)
class SubscriptionTokenConfig(TokenConfig):
    """Separate settings for subscription tokens."""

    enabled: bool = option(
        False,
        "Verify subscription tokens with this object instead of `client.token`.",
    )


@dataclass(frozen=True, slots=True)
class PersonalChannelConfig:
    """Server-side subscription of every user to a channel of their own."""

    enabled: bool = option(False, "Subscribe each connection of a user to the personal channel.")
    personal_channel_namespace: str = option("", "Namespace of the personal channel.")
    single_connection: bool = option(False, "Keep only the newest connection of a user.")


@dataclass(frozen=True, slots=True)
class DisconnectTarget:
    """A disconnect to send in place of something else."""

    code: int = option(0, "Disconnect code.")
    reason: str = option("", "Text that goes with the code; ASCII, at most 123 characters.")


@dataclass(frozen=True, slots=True)
class ConnectCodeToDisconnect:
    """One row of the translation for unidirectional transports."""

    code: int = option(0, "Error or disconnect code of the failed connect.")
    to: DisconnectTarget = section(DisconnectTarget, "Disconnect sent for it.")


@dataclass(frozen=True, slots=True)
class ConnectCodeToDisconnectConfig:
    """Which disconnect a unidirectional client gets when its connect fails."""

    enabled: bool = option(False, "Use the list.")
    transforms: tuple[ConnectCodeToDisconnect, ...] = items(
        ConnectCodeToDisconnect, "Failed connect to disconnect."
    )


@dataclass(frozen=True, slots=True)
class ClientProxyConfig:
    """Calls to the application backend about connections."""

    connect: SwitchedProxyConfig = section(SwitchedProxyConfig, "Ask the backend who connects.")
    refresh: SwitchedProxyConfig = section(
        SwitchedProxyConfig, "Ask the backend whether an expired connection goes on."
    )


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """Client connections."""

    allowed_origins: tuple[str, ...] = option(
        (), "Browser origins that may connect, as glob patterns; `*` alone allows all."
    )
    token: TokenConfig = section(TokenConfig, "Connection tokens, and subscription tokens by default.")
    subscription_token: SubscriptionTokenConfig = section(
        SubscriptionTokenConfig, "Subscription tokens with settings of their own."
    )
    allow_anonymous_connect_without_token: bool = option(
        False, "Accept connections without a token, with an empty user id."
    )
    disallow_anonymous_connection_tokens: bool = option(False, "Refuse tokens whose user id is empty.")
    ping_interval: float = option(25.0, "Period of pings to the client; negative = never.")
    pong_timeout: float = option(
        8.0,
        "Time for the answer to a ping; negative = no answer required. Not for unidirectional transports.",
    )
    expired_close_delay: float = option(25.0, "Grace after a connection expired before it is closed.", min=0)
    expired_sub_close_delay: float = option(
        25.0, "Grace after a subscription expired before it is ended.", min=0
    )
    stale_close_delay: float = option(
        10.0, "A connection without successful connect is closed after this time.", min=0
    )
    channel_limit: int = option(
        128, "Subscriptions of one connection, client-side and server-side together.", min=0
    )
    queue_max_size: int = option(
        1048576, "Output waiting for one connection; beyond it the client is slow.", unit="bytes", min=0
    )
    presence_update_interval: float = option(
        27.0, "Period of presence refresh and of the subscription expiry check.", min=0
    )
    concurrency: int = option(
        0, "Commands of one connection processed at once; 0 or 1 = strictly in order.", min=0
    )
    channel_position_check_delay: float = option(40.0, "Period of the stream position check.")
    channel_position_max_time_lag: float = option(
        0.0, "Delay of PUB/SUB allowed for positioned subscriptions; 0 = no check."
    )
    connection_limit: int = option(0, "Connections of this node; 0 = no limit.")
    user_connection_limit: int = option(0, "Connections of one user on this node; 0 = no limit.")
    connection_rate_limit: int = option(0, "New connections of this node; 0 = no limit.", unit="per second")
    connect_rate: int = option(
        0,
        "Connections accepted by this node, by each of its workers an equal part; those that come faster wait in the "
        "kernel's queue instead of being refused; 0 = no limit. Counts requests of the API that come on new "
        "connections to the same port; a port of their own, `http_server.internal_port`, is not paced.",
        unit="per second",
        min=0,
        extension=True,
    )
    connect_include_server_time: bool = option(False, "Put Unix time in milliseconds into the connect reply.")
    history_max_publication_limit: int = option(
        300, "Publications one history request of a client can return.", min=0
    )
    recovery_max_publication_limit: int = option(
        300, "Publications recovered on resubscribe; when more were missed, none are.", min=0
    )
    insecure_skip_token_signature_verify: bool = option(
        False, "Do not check signatures of tokens; all other checks stay."
    )
    user_id_http_header: str = option(
        "", "Request header trusted to carry the user id; the proxy in front must not let clients set it."
    )
    insecure: bool = option(
        False, "Development only: connections need no token, permissions are not checked."
    )
    subscribe_to_user_personal_channel: PersonalChannelConfig = section(
        PersonalChannelConfig, "Personal channel of each user."
    )
    connect_code_to_unidirectional_disconnect: ConnectCodeToDisconnectConfig = section(
        ConnectCodeToDisconnectConfig,
        "Disconnects for failed connects of unidirectional clients.",
        support=Support.ACCEPTED,
    )
    proxy: ClientProxyConfig = section(
        ClientProxyConfig, "Calls to the application backend.", support=Support.ACCEPTED
    )
