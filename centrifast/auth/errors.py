"""Why a token is refused."""


class InvalidTokenError(Exception):
    """The token can not be believed. The text is for the log: it never holds the token or parts of it."""


class TokenExpiredError(Exception):
    """The token is genuine, but its time is over or has not come (``exp``, ``nbf``)."""
