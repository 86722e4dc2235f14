"""Whether a configuration can be run: its rules, what of it is not built, what to warn about at start.

Each rule is a generator of sentences; all broken rules are told at once. The ``rules_*`` modules hold those that
join several options, the schema itself bounds and choices of single ones.
"""

from collections.abc import Iterator

from centrifast.config import (
    rules_channel,
    rules_consumer,
    rules_map,
    rules_proxy,
    rules_server,
    rules_start,
)
from centrifast.config.duration import format_duration
from centrifast.config.error import ConfigError
from centrifast.config.option import Kind, Option, Setting, Support, values_of
from centrifast.config.schema import Config

INSECURE = frozenset(
    {
        "client.insecure",
        "client.insecure_skip_token_signature_verify",
        "http_api.insecure",
        "admin.insecure",
        "debug.enabled",
    }
)

AT_START = frozenset({"engine.type", "http_api.error_mode", "grpc_api.error_mode"})
"""Options whose choices ``rules_start`` looks at."""


def validate(config: Config) -> None:
    """Raise :exc:`ConfigError` with every rule that is broken, one per line; for a check, a start and a reload."""
    problems = [
        *check_bounds(config),
        *rules_server.check(config),
        *rules_proxy.check(config),
        *rules_consumer.check(config),
        *rules_channel.check(config),
        *rules_map.check(config),
    ]
    if problems:
        raise ConfigError("\n".join(problems))


def validate_start(config: Config) -> None:
    """Raise :exc:`ConfigError` with every broken rule that only a start looks at."""
    problems = [*rules_start.check(config)]
    if problems:
        raise ConfigError("\n".join(problems))


def check_bounds(config: Config) -> Iterator[str]:
    """Single values are within what the schema declares."""
    for setting in values_of(config):
        facts = setting.option.facts
        if facts.choices is not None and setting.path not in AT_START:
            yield from check_choices(setting, facts.choices)
        if isinstance(setting.value, int | float):
            if facts.min is not None and setting.value < facts.min:
                yield f"{setting.path} must be at least {bound_text(setting.option, facts.min)}"
            if facts.max is not None and setting.value > facts.max:
                yield f"{setting.path} must be at most {bound_text(setting.option, facts.max)}"


def check_choices(setting: Setting, choices: tuple[str, ...]) -> Iterator[str]:
    """Words are among those that mean something."""
    words = setting.value if isinstance(setting.value, tuple) else (setting.value,)
    for word in words:
        if word not in choices:
            allowed = ", ".join(choice or '""' for choice in choices)
            yield f"{setting.path}: {word!r} is not valid; use one of {allowed}"


def bound_text(option: Option, number: float) -> str:
    """Write a bound in the unit operators write it."""
    return format_duration(number) if option.kind is Kind.DURATION else f"{number:g}"


def unsupported(config: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the paths of options that are switched on but not built: those that forbid a start, the others.

    Which are which is declared at each option (:class:`Support`); sections that are off do not count.
    """
    refused = []
    warned = []
    for setting in values_of(config, only_active=True):
        option = setting.option
        if option.kind in (Kind.SECTION, Kind.ITEMS):
            continue
        if setting.value in option.facts.later:
            refused.append(setting.path)
        elif setting.value != option.default:
            if setting.support is Support.REFUSED:
                refused.append(setting.path)
            elif setting.support is Support.WARNED:
                warned.append(setting.path)
    return tuple(refused), tuple(warned)


def refuse_unsupported(config: Config) -> tuple[str, ...]:
    """Raise :exc:`ConfigError` for what forbids a start; return warnings for the rest."""
    refused, warned = unsupported(config)
    if refused:
        raise ConfigError("\n".join(f"not supported by this version: {path}" for path in refused))
    return tuple(f"not supported by this version, without effect: {path}" for path in warned)


def start_warnings(config: Config) -> tuple[str, ...]:
    """Return what an operator should know at each start, although it is allowed."""
    warnings = [
        f"insecure mode is on: {setting.path}"
        for setting in values_of(config)
        if setting.path in INSECURE and setting.value
    ]
    if config.client.allowed_origins == ("*",):
        warnings.append("client.allowed_origins lets pages of every origin connect")
    return tuple(warnings)
