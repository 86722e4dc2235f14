import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from centrifast.config.schema_server import AdminConfig
from centrifast.server.admin import (
    LOGINS_PER_SECOND,
    TOKEN_LIFETIME,
    AdminEndpoints,
    is_good_token,
    make_token,
)
from centrifast.server.routes import Routes
from centrifast.server.web_files import WebFilesError
from tests.api.node import FakeNode
from tests.fakes import FakeClock
from tests.server.http_peer import Answer, get, post, run, serving
from tests.server_process import ServerProcess

CONFIG = AdminConfig(password="pass & word", secret="secret")
FORM = "Content-Type: application/x-www-form-urlencoded"
COMMAND = b'{"id":1,"method":"publish","params":{"channel":"a","data":1}}'


class Admin:
    """The endpoints in front of a node, at a time that tests set."""

    def __init__(self, config: AdminConfig = CONFIG) -> None:
        self.clock = FakeClock()
        self.node = FakeNode()
        self.is_stopping = False
        self.routes = Routes()
        AdminEndpoints(config, self.node, self.clock, lambda: self.is_stopping).add_to(self.routes)

    def ask(self, *requests: bytes) -> list[Answer]:
        """The answers to some requests on one connection."""

        async def scenario() -> list[Answer]:
            async with serving(self.routes) as served:
                peer = await served.connect()
                answers = []
                for request in requests:
                    peer.send(request)
                    answers.append(await peer.answer(with_body=not request.startswith(b"HEAD")))
                return answers

        return run(scenario())

    def log_in(self, password: str = CONFIG.password) -> Answer:
        return self.ask(login(password))[0]

    def token(self) -> str:
        """One of a login."""
        token = json.loads(self.log_in().body)["token"]
        assert isinstance(token, str)
        return token

    def call(self, *headers: str, path: str = "/admin/api", body: bytes = COMMAND) -> Answer:
        return self.ask(post(path, body, *headers))[0]


def login(password: str, path: str = "/admin/auth") -> bytes:
    return post(path, urlencode({"password": password}).encode(), FORM)


# ------------------------------------------------------------------- login


def test_the_right_password_gets_a_token_that_opens_the_api() -> None:
    admin = Admin()
    answer = admin.log_in()
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["cache-control"] == "no-store"
    (name,) = json.loads(answer.body)
    assert name == "token"
    called = admin.call(f"Authorization: token {admin.token()}")
    assert (called.status, called.body) == (200, b'{"id":1,"result":{}}')


@pytest.mark.parametrize("password", ["", "pass", "pass & wor", "PASS & WORD", "pass & word ", "é"])
def test_a_wrong_password_is_400(password: str) -> None:
    assert Admin().log_in(password).status == 400


@pytest.mark.parametrize(
    "config",
    [AdminConfig(), AdminConfig(password="p"), AdminConfig(secret="s")],
)
def test_without_password_or_secret_nobody_logs_in(
    config: AdminConfig, caplog: pytest.LogCaptureFixture
) -> None:
    admin = Admin(config)
    assert [admin.log_in(given).status for given in ("", "p")] == [400, 400]
    assert {record.levelname for record in caplog.records} == {"ERROR"}
    assert admin.call("Authorization: token ").status == 401
    assert admin.call(f"Authorization: token {make_token('', 2**40)}").status == 401


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/x-www-form-urlencoded", b"password=pass+%26+word", 200),
        ("", b"other=1&password=pass%20%26%20word", 200),
        ("text/plain", b"password", 400),
        ("application/x-www-form-urlencoded", b"password=\xff", 400),
        ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 11), 400),
        ("application/json", b'{"password":"pass & word"}', 400),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\n1\r\n'
            b'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\npass & word\r\n--x--\r\n',
            200,
        ),
        ("multipart/form-data; boundary=x", b"--x--\r\n", 400),
        ("multipart/form-data", b"password=pass+%26+word", 400),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\n\xff\r\n--x--\r\n',
            400,
        ),
        ("", b"password=pass+%26+word&a=" + b"1" * 8192, 400),
    ],
)
def test_forms(content_type: str, body: bytes, status: int) -> None:
    (answer,) = Admin().ask(post("/admin/auth", body, f"Content-Type: {content_type}"))
    assert answer.status == status


def test_a_password_in_the_address_does_not_count() -> None:
    assert Admin().ask(post("/admin/auth?password=pass+%26+word", b""))[0].status == 400


def test_passwords_can_not_be_tried_fast() -> None:
    admin = Admin()
    answers = admin.ask(*[login("wrong")] * LOGINS_PER_SECOND, login("wrong"), login(CONFIG.password))
    assert [answer.status for answer in answers] == [400] * LOGINS_PER_SECOND + [429, 429]
    assert answers[-1].headers["retry-after"] == "1"
    admin.clock.advance(1.0)
    assert admin.log_in().status == 200


# ------------------------------------------------------------------ tokens


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Authorization: token {token}", 200),
        ("Authorization: TOKEN   {token}", 200),
        ("authorization: token {token}", 200),
        ("Authorization: {token}", 401),
        ("Authorization: Bearer {token}", 401),
        ("Authorization: apikey {token}", 401),
        ("Authorization: token {token} x", 401),
        ("Authorization: token", 401),
        ("X-API-Key: {token}", 401),
        ("X-Nothing: 1", 401),
    ],
)
def test_where_the_token_stands(header: str, status: int) -> None:
    admin = Admin()
    answer = admin.call(header.format(token=admin.token()))
    assert answer.status == status
    assert status == 200 or answer.body == b""


def test_a_token_lasts_thirty_days() -> None:
    admin = Admin()
    token = admin.token()
    admin.clock.advance(TOKEN_LIFETIME - 1)
    assert admin.call(f"Authorization: token {token}").status == 200
    admin.clock.advance(1)
    assert admin.call(f"Authorization: token {token}").status == 401
    assert TOKEN_LIFETIME == 30 * 24 * 3600


@pytest.mark.parametrize("spoil", [
    lambda token: token[:-1],
    lambda token: token + "A",
    lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
    lambda token: str(int(token[0]) + 1) + token[1:],
    lambda token: "0" + token,
    lambda token: token.replace(".", ""),
    lambda token: "." + token.partition(".")[2],
    lambda token: token.replace(".", ".="),
    lambda token: "٣" + token[1:],
    lambda token: token.partition(".")[0] + ".",
])  # fmt: skip
def test_a_token_that_was_changed_is_none(spoil: Callable[[str], str]) -> None:
    token = make_token("secret", 2_000_000_000)
    assert is_good_token("secret", token, 1_999_999_999)
    assert not is_good_token("secret", spoil(token), 1_999_999_999)
    assert not is_good_token("another", token, 1_999_999_999)


def test_every_node_with_the_secret_takes_a_token() -> None:
    assert Admin().call(f"Authorization: token {Admin().token()}").status == 200
    other = AdminConfig(password=CONFIG.password, secret="another")
    assert Admin(other).call(f"Authorization: token {Admin().token()}").status == 401


# -------------------------------------------------------------------- init


def test_init_tells_whether_a_login_is_needed() -> None:
    admin = Admin()
    token = admin.token()
    unknown, known = admin.ask(get("/admin/init"), get("/admin/init", f"Authorization: token {token}"))
    assert unknown.body == b'{"insecure":false,"edition":"oss","authenticated":false}'
    assert known.body == b'{"insecure":false,"edition":"oss","authenticated":true}'


def test_insecure_needs_no_login(caplog: pytest.LogCaptureFixture) -> None:
    admin = Admin(AdminConfig(insecure=True))
    assert admin.ask(get("/admin/init"))[0].body == (
        b'{"insecure":true,"edition":"oss","authenticated":true}'
    )
    assert admin.call().status == 200
    assert json.loads(admin.log_in("anything").body) == {"token": "insecure"}
    assert Admin().call("Authorization: token insecure").status == 401


# --------------------------------------------------------------------- api


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        (COMMAND + b"\n" + COMMAND, 200, b'{"id":1,"result":{}}\n{"id":1,"result":{}}'),
        (b'{"method":"rpc","params":{"method":"m"}}', 200, b'{"error":{"code":104,"message":"not found"}}'),
        (b"[]", 400, b"Bad Request"),
        (b"", 400, b"Bad Request"),
    ],
)
def test_the_api_takes_the_old_command_format(body: bytes, status: int, answer: bytes) -> None:
    called = Admin(AdminConfig(insecure=True)).call(body=body)
    assert (called.status, called.body) == (status, answer)


def test_during_a_stop_commands_are_503() -> None:
    admin = Admin()
    token = admin.token()
    admin.is_stopping = True
    assert admin.call(f"Authorization: token {token}").status == 503
    assert admin.call().status == 401
    assert admin.ask(get("/admin/init"))[0].status == 200


def test_a_large_body_is_read_for_those_who_have_logged_in() -> None:
    admin = Admin()
    large = b'{"method":"publish","params":{"channel":"a","data":"%b"}}' % (b"x" * 1_000_000)
    assert admin.call(f"Authorization: token {admin.token()}", body=large).status == 200
    assert admin.call(body=large).status == 401


# ------------------------------------------------------------------- paths


@pytest.mark.parametrize(
    ("prefix", "path"), [("", "/admin/init"), ("/", "/admin/init"), ("ops/", "/ops/admin/init")]
)
def test_the_prefix_stands_in_front(prefix: str, path: str) -> None:
    admin = Admin(AdminConfig(handler_prefix=prefix))
    assert admin.ask(get(path))[0].status == 200


def test_methods() -> None:
    answers = Admin().ask(
        get("/admin/auth"),
        get("/admin/api"),
        post("/admin/init", b""),
        get("/admin/init").replace(b"GET", b"HEAD"),
    )
    assert [answer.status for answer in answers] == [405, 405, 405, 200]


def test_without_a_page_there_is_nothing_else() -> None:
    answers = Admin().ask(get("/"), get("/admin"), get("/admin/"), get("/admin/api/"), get("/else"))
    assert [answer.status for answer in answers] == [404] * 5


def test_a_page_of_the_operator_is_served_below_the_prefix(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "app.js").write_text("1")
    admin = Admin(AdminConfig(handler_prefix="/ops", web_path=str(tmp_path), insecure=True))
    answers = admin.ask(
        get("/ops"), get("/ops/"), get("/ops/app.js"), get("/ops/else"), get("/ops/admin/init"), get("/")
    )
    assert [answer.status for answer in answers] == [301, 200, 200, 404, 200, 404]
    assert answers[0].headers["location"] == "/ops/"
    assert answers[1].body == b"<!doctype html>"
    assert answers[2].headers["content-type"].startswith("text/javascript")


def test_a_page_that_is_not_there_is_told_at_start(tmp_path: Path) -> None:
    with pytest.raises(WebFilesError, match=r"admin\.web_path: .*absent is no directory"):
        Admin(AdminConfig(web_path=str(tmp_path / "absent")))


# ------------------------------------------------------------------ daemon


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A daemon with an administrator."""
    config = {"admin": {"enabled": True, "password": "p", "secret": "s"}}
    with ServerProcess(tmp_path_factory.mktemp("admin"), config) as server:
        yield server


def test_an_administrator_of_the_daemon(server: ServerProcess) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    status, body = server.request("POST", "/admin/auth", b"password=p", form)
    assert status == 200
    header = {"Authorization": f"token {json.loads(body)['token']}"}
    status, body = server.request("POST", "/admin/api", b'{"method":"info"}', header)
    assert status == 200
    assert len(json.loads(body)["result"]["nodes"]) == 1
    assert server.request("POST", "/admin/api", b'{"method":"info"}', {})[0] == 401
    assert json.loads(server.get("/admin/init", header)[1])["authenticated"] is True
    assert server.request("POST", "/api/info", b"{}", header)[0] == 401
