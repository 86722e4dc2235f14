"""What a configuration is held to before it runs, at start and at each reload; what is odd about it is logged."""

from centrifast import log
from centrifast.config.error import ConfigError
from centrifast.config.loader import LoadedConfig
from centrifast.config.suggest import advice_on, advice_on_variable, explain_key
from centrifast.config.validate import refuse_unsupported, start_warnings, validate, validate_start


def review(loaded: LoadedConfig, *, strict: bool) -> None:
    """Log warnings; raise ConfigError for what can not run, with *strict* also for unknown keys of the file."""
    for warning in loaded.warnings:
        log.warn("configuration", reason=warning)
    report_unknown(loaded, strict=strict)
    validate(loaded.config)
    validate_start(loaded.config)
    for warning in (*refuse_unsupported(loaded.config), *start_warnings(loaded.config)):
        log.warn("configuration", reason=warning)


def report_unknown(loaded: LoadedConfig, *, strict: bool) -> None:
    """Warn of each unknown key and each unknown variable, with what was probably meant (server specification 1.6)."""
    if loaded.unknown and strict:
        unknown = ", ".join(map(explain_key, loaded.unknown))
        raise ConfigError(f"unknown keys in configuration file: {unknown}")
    for key in loaded.unknown:
        log.warn("unknown key in configuration file", key=key, hint=advice_on(key))
    for name in loaded.unknown_env:
        log.warn("unknown var in environment", var=name, hint=advice_on_variable(name, loaded.known_env))
