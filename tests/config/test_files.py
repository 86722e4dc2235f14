"""Reading files: formats, keys, PEM, ``.env``."""

import base64
from pathlib import Path

import pytest

from centrifast.config.error import ConfigError
from centrifast.config.files import load_dotenv, plain_tree, read_pem, read_tree

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.json", '{"http_server": {"port": 9000}}'),
        ("c.yaml", "http_server:\n  port: 9000\n"),
        ("c.YML", "http_server: {port: 9000}"),
        ("c.toml", "[http_server]\nport = 9000\n"),
    ],
)
def test_the_extension_tells_the_format(name: str, text: str, tmp_path: Path) -> None:
    assert read_tree(write(tmp_path / name, text)) == {"http_server": {"port": 9000}}


@pytest.mark.parametrize("text", ["", " \n", "# only a comment\n"])
def test_an_empty_file_is_an_empty_tree(text: str, tmp_path: Path) -> None:
    assert read_tree(write(tmp_path / "c.yaml", text)) == {}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.ini", "", "unknown kind of file"),
        ("c.json", "{", "cannot be read"),
        ("c.yaml", "a: [", "cannot be read"),
        ("c.toml", "a = ", "cannot be read"),
        ("c.json", "[]", "expected an object"),
        ("c.yaml", "word", "expected an object"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(name: str, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        read_tree(write(tmp_path / name, text))


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("c.json", '{"secret": "hush",\n "b": hush}', "line 2 column 7"),
        ("c.yaml", "secret: hush\nb: [hush\nc: hush", r"\(at line 3, column 2\)"),
        ("c.yaml", "secret: @hush", r"\(at line 1, column 9\)"),
        ("c.toml", 'secret = "hush"\nb = hush', r"\(at line 2, column 5\)"),
    ],
)
def test_a_mistake_is_told_with_its_place_but_without_the_line(
    name: str, text: str, place: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=place) as caught:
        read_tree(write(tmp_path / name, text))
    assert "hush" not in str(caught.value)


def test_a_key_stands_once_in_yaml(tmp_path: Path) -> None:
    text = "client:\n  insecure: true\n  insecure: false\n"
    with pytest.raises(ConfigError, match=r"key 'insecure' stands twice \(at line 3, column 3\)"):
        read_tree(write(tmp_path / "c.yaml", text))


def test_what_yaml_merges_is_overridden_by_what_is_written(tmp_path: Path) -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b\n  <<: *a\n  y: 3\nc:\n  <<: *b\n  x: 4\nd:\n  <<: [*b, *a]\n"
    assert read_tree(write(tmp_path / "c.yaml", text)) == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
        "c": {"x": 4, "y": 3},
        "d": {"x": 1, "y": 3},
    }


def test_a_missing_file_is_for_the_caller_to_judge(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_tree(tmp_path / "c.json")


def test_a_directory_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "c.json").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        read_tree(tmp_path / "c.json")


def test_yaml_words_and_times_are_texts(tmp_path: Path) -> None:
    text = "a: no\nb: 12:30\nc: 2020-01-01\nd: true\ne: 1.5\nf: 0x10\ng: ~\nh: 1e3\n"
    tree = read_tree(write(tmp_path / "c.yaml", text))
    assert tree == {
        "a": "no",
        "b": "12:30",
        "c": "2020-01-01",
        "d": True,
        "e": 1.5,
        "f": 16,
        "g": None,
        "h": 1000.0,
    }


def test_keys_are_lowered_and_dots_are_paths_at_every_depth() -> None:
    tree = plain_tree({"Client.Insecure": True, "client": {"Ping.X": 1}, 7: [{"A.b": [1]}]}, "")
    assert tree == {"client": {"insecure": True, "ping": {"x": 1}}, "7": [{"a": {"b": [1]}}]}


def test_of_two_values_for_one_key_the_last_wins() -> None:
    assert plain_tree({"client": {"a": 1, "b": {"x": 1}}, "CLIENT": {"a": 2, "b": {"y": 2}}}, "") == {
        "client": {"a": 2, "b": {"x": 1, "y": 2}}
    }


def test_a_value_cannot_be_an_object_too() -> None:
    with pytest.raises(ConfigError, match="`a` has a value already"):
        plain_tree({"a": 1, "a.b": 2}, "")


def test_pem_is_taken_as_text_base64_or_path(tmp_path: Path) -> None:
    assert read_pem("") == ""
    assert read_pem(PEM) == PEM
    assert read_pem(base64.b64encode(PEM.encode()).decode()) == PEM
    assert read_pem(str(write(tmp_path / "cert.pem", PEM))) == PEM


@pytest.mark.parametrize("value", ["absent.pem", "YWJj", "\x00", "/"])
def test_what_is_no_pem_is_refused_without_repeating_it(value: str) -> None:
    with pytest.raises(ValueError, match="expected PEM text") as caught:
        read_pem(value)
    assert value not in str(caught.value) or value == "/"


def test_a_file_without_pem_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected PEM text"):
        read_pem(str(write(tmp_path / "empty", "")))


def test_dotenv_adds_what_is_not_set(tmp_path: Path) -> None:
    path = write(
        tmp_path / ".env",
        "\n# comment\nA=1\nexport B = two words # note\nC='single $x'\n"
        'D="line\\nnext \\"q\\""\nE=\nF: yaml\n',
    )
    environ = {"A": "kept"}
    assert load_dotenv(path, environ) == ()
    assert environ == {
        "A": "kept",
        "B": "two words",
        "C": "single $x",
        "D": 'line\nnext "q"',
        "E": "",
        "F": "yaml",
    }


def test_a_line_of_dotenv_that_means_nothing_is_skipped_with_a_warning(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    warnings = load_dotenv(write(tmp_path / ".env", "A=1\nnonsense\n"), environ)
    assert environ == {"A": "1"}
    assert len(warnings) == 1
    assert "line 2" in warnings[0]


def test_a_missing_dotenv_is_nothing_to_speak_of(tmp_path: Path) -> None:
    assert load_dotenv(tmp_path / ".env", {}) == ()


def test_an_unreadable_dotenv_is_a_warning(tmp_path: Path) -> None:
    assert "cannot be read" in load_dotenv(tmp_path, {})[0]
