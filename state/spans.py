"""Spans of time by their milliseconds: policies name the same few again and again."""

from datetime import timedelta
from functools import lru_cache


@lru_cache(maxsize=4_096)
def span(ms: int) -> timedelta:
    return timedelta(milliseconds=ms)
