import importlib
import json
import sys

import pytest

from tfreg import startup


@pytest.mark.parametrize(
    ("variable", "content", "expected"),
    [
        ("jax", '{"backend": "tensorflow"}', "jax"),
        (None, '{"backend": "jax"}', "jax"),
        (None, None, "tensorflow"),
        (None, "[]", None),
        (None, "{", None),
    ],
)
def test_the_backend_is_known_before_keras_loads(
    monkeypatch, tmp_path, variable, content, expected
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if variable is not None:
        monkeypatch.setenv("KERAS_BACKEND", variable)
    if content is not None:
        (tmp_path / "keras.json").write_text(content, encoding="utf-8")
    assert startup._backend() == expected


def test_what_is_hidden_is_found_again(monkeypatch):
    with startup._without("json"):  # which is there: it stays
        assert importlib.import_module("json") is json
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with startup._without("colorsys"), pytest.raises(ImportError):
        importlib.import_module("colorsys")
    assert importlib.import_module("colorsys").rgb_to_hsv(0, 0, 0) == (0, 0, 0)
