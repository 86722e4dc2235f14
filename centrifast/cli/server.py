"""No subcommand: run the server."""

import os
from collections.abc import Mapping
from pathlib import Path

from centrifast import log
from centrifast.config.error import ConfigError
from centrifast.config.loader import FlagValue, LoadedConfig, load, load_dotenv
from centrifast.config.suggest import advice_on, advice_on_variable, explain_key
from centrifast.config.validate import refuse_unsupported, start_warnings, validate, validate_start


def run_server(path: str, flags: Mapping[str, FlagValue], *, strict: bool) -> int:
    """Read the configuration, tell what is odd about it, run; return the exit code.

    *strict* makes unknown keys of the file an error.
    """
    log.configure()
    try:
        oddities = load_dotenv(Path(".env"), os.environ)
        loaded = load(Path(path), flags, os.environ)
        level_known = log.configure(loaded.config.log.level, loaded.config.log.file)
        for warning in (*oddities, *loaded.warnings):
            log.warn("configuration", detail=warning)
        if not level_known:
            log.warn("unknown log level, using info", level=loaded.config.log.level)
        report_unknown(loaded, strict=strict)
        validate(loaded.config)
        validate_start(loaded.config)
        for warning in (*refuse_unsupported(loaded.config), *start_warnings(loaded.config)):
            log.warn("configuration", detail=warning)
    except (ConfigError, OSError) as error:
        log.fatal("configuration cannot be used", error=error)
        return 1
    from centrifast.app import run

    return run(loaded)


def report_unknown(loaded: LoadedConfig, *, strict: bool) -> None:
    """Warn of each unknown key and each unknown variable, with what was probably meant (server specification 1.6)."""
    if loaded.unknown and strict:
        raise ConfigError(
            f"unknown keys in configuration file: {', '.join(map(explain_key, loaded.unknown))}"
        )
    for key in loaded.unknown:
        log.warn("unknown key in configuration file", key=key, hint=advice_on(key))
    for name in loaded.unknown_env:
        log.warn("unknown var in environment", var=name, hint=advice_on_variable(name, loaded.known_env))
