"""What is wrong with a configuration, told to the operator."""


class ConfigError(Exception):
    """The configuration cannot be used; the text names the option and what to do."""
