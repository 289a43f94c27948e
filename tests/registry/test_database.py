"""What is said of a database or a server that MLflow cannot use."""

from registry.database import quotable, shortened

_TALE = (
    "API request to http://127.0.0.1:1/api/2.0/x failed with exception HTTPConnectionPool(host='127.0.0.1', port=1): "
    "Max retries exceeded with url: /api (Caused by NewConnectionError(\"HTTPConnection(host='127.0.0.1', port=1): "
    'Failed to establish a new connection: [Errno 111] Connection refused"))'
)


def test_a_server_that_is_away_is_told_of_in_a_few_words() -> None:
    """With the cause where there is one; other words are left as they are."""
    assert shortened(_TALE) == "the server does not answer (Connection refused)"
    assert shortened("HTTPConnectionPool(host='h', port=1): Read timed out.") == "the server does not answer"
    assert shortened("no such column") == "no such column"


def test_a_cause_that_quotes_a_password_is_not_told() -> None:
    """Not even when it lies behind others, or when they go round in a circle."""
    sound, teller = ValueError("http://127.0.0.1:1 does not answer"), KeyError("http://me:pl4nted@127.0.0.1:1")
    assert quotable(sound) is sound
    sound.__cause__ = RuntimeError("the middle")
    sound.__cause__.__context__ = sound
    assert quotable(sound) is sound
    sound.__cause__.__context__ = teller
    assert quotable(sound) is None
