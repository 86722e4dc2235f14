"""What the operator may have meant by a key or a variable that no option has."""

import difflib
import functools
import re

from centrifast.config.environment import PREFIXES
from centrifast.config.option import Kind, walk
from centrifast.config.schema import Config

OLD_KEYS = {
    "secret": "client.token.hmac_secret_key",
    "token_hmac_secret_key": "client.token.hmac_secret_key",
    "allowed_origins": "client.allowed_origins",
    "api_key": "http_api.key",
    "admin_password": "admin.password",
    "admin_secret": "admin.secret",
    "namespaces": "channel.namespaces",
    "channel_max_length": "channel.max_length",
    "channel_private_prefix": "channel.private_prefix",
    "channel_namespace_boundary": "channel.namespace_boundary",
    "channel_user_boundary": "channel.user_boundary",
    "channel_user_separator": "channel.user_separator",
    "user_personal_channel_namespace": (
        "client.subscribe_to_user_personal_channel.personal_channel_namespace"
    ),
    "user_subscribe_to_personal": "client.subscribe_to_user_personal_channel.enabled",
    "redis_host": "engine.redis.address",
    "redis_port": "engine.redis.address",
    "redis_url": "engine.redis.address",
    "redis_password": "engine.redis.password",
    "redis_db": "engine.redis.db",
}
"""Top-level keys of Centrifugo 1 to 5 and the option that does their work (server specification 10.2)."""

OLD_CHANNEL_KEYS = {
    "anonymous": "allow_subscribe_for_anonymous",
    "publish": "allow_publish_for_client",
    "subscribe_to_publish": "allow_publish_for_subscriber",
    "presence_disable_for_client": "allow_presence_for_subscriber",
    "history_lifetime": "history_ttl",
    "history_disable_for_client": "allow_history_for_subscriber",
    "recover": "force_recovery",
    "history_recover": "force_recovery",
    "position": "force_positioning",
    "protected": "allow_subscribe_for_client",
    "server_side": "allow_subscribe_for_client",
    "proxy_subscribe": "subscribe_proxy_enabled",
    "proxy_publish": "publish_proxy_enabled",
}
"""The same for channel options, which stood at the top level and in namespaces."""

INDEX = re.compile(r"\.\[\d+\]")
NAMESPACE = re.compile(r"channel\.(namespaces\.\[\d+\]|without_namespace)\.")


@functools.cache
def known_paths() -> tuple[str, ...]:
    """Return the path of every option and section, those that are built first; items as ``path[]``."""
    return tuple(path for path, _ in sorted(walk(Config), key=lambda known: known[1].facts.support))


def explain_key(key: str) -> str:
    """Return an unknown key with what was probably meant, in the same section if possible."""
    old = old_key(key)
    if old is not None:
        return f"`{key}` (an option of an older version; use `{old}`)"
    section, _, name = INDEX.sub("[]", key).rpartition(".")
    siblings = {path.rpartition(".")[2] for path in known_paths() if path.rpartition(".")[0] == section}
    close = difflib.get_close_matches(name, siblings, 1)
    if close:
        return f"`{key}` (did you mean `{close[0]}`?)"
    elsewhere = [path for path in known_paths() if path.rpartition(".")[2] == name]
    elsewhere = elsewhere or difflib.get_close_matches(INDEX.sub("[]", key), known_paths(), 1)
    return f"`{key}` (did you mean `{elsewhere[0]}`?)" if elsewhere else f"`{key}`"


def old_key(key: str) -> str | None:
    """Return the option that does the work of a key of an older version."""
    namespace = NAMESPACE.match(key)
    if namespace:
        name = key[namespace.end() :]
        return namespace[0] + OLD_CHANNEL_KEYS[name] if name in OLD_CHANNEL_KEYS else None
    if key in OLD_CHANNEL_KEYS:
        return "channel.without_namespace." + OLD_CHANNEL_KEYS[key]
    return OLD_KEYS.get(key)


def explain_variable(name: str) -> str:
    """Return an unknown variable with what was probably meant."""
    prefix = next(prefix for prefix in PREFIXES if name.startswith(prefix))
    known = [
        prefix + path.replace(".", "_").upper()
        for path, option in walk(Config)
        if option.kind is not Kind.SECTION and "[]" not in path
    ]
    close = difflib.get_close_matches(name, known, 1)
    return f"`{name}` (did you mean `{close[0]}`?)" if close else f"`{name}`"
