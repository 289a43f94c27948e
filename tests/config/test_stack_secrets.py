"""The names of a stack's secrets, read without a parser of YAML."""

from pathlib import Path

import pytest
import yaml

from config.stack_secrets import redis_users, wanted
from tests.live.parts import ROOT

COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")


def test_the_names_are_those_that_a_parser_finds() -> None:
    """All of them, in order."""
    assert wanted(COMPOSE) == sorted(yaml.safe_load(COMPOSE)["secrets"])


def test_a_file_that_is_written_otherwise_is_refused() -> None:
    """Rather than no password made."""
    with pytest.raises(ValueError, match="restore the file"):
        wanted(COMPOSE.replace("{file:", "{external:"))


def test_a_user_without_a_secret_is_told_of(tmp_path: Path) -> None:
    """By the file that misses."""
    with pytest.raises(FileNotFoundError, match="redis_stranger"):
        redis_users("user stranger on #@stranger@ +ping\n", tmp_path)
