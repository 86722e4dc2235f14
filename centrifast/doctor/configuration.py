"""Is the configuration one that the server starts with?"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from centrifast.config.error import ConfigError
from centrifast.config.loader import LoadedConfig, load
from centrifast.config.schema import Config
from centrifast.config.suggest import explain_key
from centrifast.config.validate import refuse_unsupported, validate, validate_start
from centrifast.doctor.finding import Finding, Level, fail, ok, warn

NAME = "configuration"


def read_configuration(path: Path, environ: Mapping[str, str]) -> tuple[Config, list[Finding]]:
    """Load file and environment as the server does; of what can not be read, only the defaults are left."""
    try:
        loaded = load(path, {}, environ)
    except ConfigError as error:
        findings = [fail(NAME, line, f"a value that fits, in {path}") for line in str(error).splitlines()]
        return Config(), findings
    return loaded.config, check_configuration(loaded)


def check_configuration(loaded: LoadedConfig) -> list[Finding]:
    """Hold a configuration against every rule."""
    findings = [warn(NAME, text) for text in loaded.warnings]
    findings += (
        warn(NAME, f"unknown key {explain_key(key)}", "a key that the server knows")
        for key in loaded.unknown_keys
    )
    for rules in (validate, validate_start):
        findings += _broken(rules, loaded.config)
    try:
        findings += (warn(NAME, text) for text in refuse_unsupported(loaded.config))
    except ConfigError as error:
        findings += (fail(NAME, line, "an option that is built") for line in str(error).splitlines())
    if not any(finding.level is Level.FAIL for finding in findings):
        findings.append(ok(NAME, f"{loaded.path} and the environment can be used"))
    return findings


def _broken(rules: Callable[[Config], None], config: Config) -> Iterator[Finding]:
    try:
        rules(config)
    except ConfigError as error:
        for line in str(error).splitlines():
            yield fail(NAME, line, "the rule fulfilled: the server does not start like this")
