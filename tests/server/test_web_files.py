from pathlib import Path

import pytest

from centrifast.server import web_files
from centrifast.server.web_files import WebFilesError, read_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A page with a script in a folder."""
    root = tmp_path / "page"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_bytes(b"page")
    (root / "assets/app.js").write_bytes(b"script")
    return root


def test_files_stand_at_their_paths_and_an_index_at_its_folder(folder: Path) -> None:
    (folder / "assets/index.html").write_bytes(b"inner")
    answers = read_folder(str(folder), "/ui/")
    assert {path: answer.body for path, answer in answers.items()} == {
        "/ui/": b"page",
        "/ui/index.html": b"page",
        "/ui/assets/": b"inner",
        "/ui/assets/index.html": b"inner",
        "/ui/assets/app.js": b"script",
    }
    assert dict(answers["/ui/"].headers)["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.json", "application/json; charset=utf-8"),
        ("a.svg", "image/svg+xml"),
        ("a.png", "image/png"),
        ("a.svgz", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_types_come_from_names(folder: Path, name: str, content_type: str) -> None:
    (folder / name).write_bytes(b"")
    assert read_folder(str(folder), "/")[f"/{name}"].content_type == content_type


def test_what_is_hidden_or_elsewhere_is_not_served(folder: Path) -> None:
    (folder.parent / "secret").write_bytes(b"secret")
    (folder.parent / "secrets").mkdir()
    (folder.parent / "secrets/key").write_bytes(b"secret")
    (folder / ".env").write_bytes(b"secret")
    (folder / ".git").mkdir()
    (folder / ".git/config").write_bytes(b"secret")
    (folder / "link").symlink_to(folder.parent / "secret")
    (folder / "folder").symlink_to(folder.parent / "secrets")
    (folder / "broken").symlink_to(folder / "absent")
    assert read_folder(str(folder), "/").keys() == {"/", "/index.html", "/assets/app.js"}


def test_links_inside_are_followed_as_kubernetes_mounts_them(tmp_path: Path) -> None:
    (tmp_path / "..2024").mkdir()
    (tmp_path / "..2024/index.html").write_bytes(b"page")
    (tmp_path / "..data").symlink_to("..2024")
    (tmp_path / "index.html").symlink_to("..data/index.html")
    answers = read_folder(str(tmp_path), "/")
    assert answers.keys() == {"/", "/index.html"}
    assert answers["/"].body == b"page"


def test_what_can_not_be_served_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WebFilesError, match="absent is no directory"):
        read_folder(str(folder / "absent"), "/")
    with pytest.raises(WebFilesError, match=r"assets has no index\.html"):
        read_folder(str(folder / "assets"), "/")
    monkeypatch.setattr(web_files, "SIZE_LIMIT", 9)
    with pytest.raises(WebFilesError, match="holds more than"):
        read_folder(str(folder), "/")


def test_a_file_that_can_not_be_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(
        WebFilesError, match=r"app\.js can not be read: Permission denied|index\.html can not"
    ):
        read_folder(str(folder), "/")
