"""The page's files: types, policy, caching, and that nothing else of the disk can be had."""

from __future__ import annotations

import httpx
import pytest

from belle_edge.server.page.static_files import FOLDER

from ..server_process import ServerProcess
from .conftest import StartPage
from .page_client import PageClient


@pytest.fixture(scope="module")
def site(start_page: StartPage) -> httpx.Client:
    server, _ = start_page()
    return httpx.Client(base_url=server.address)


def test_the_page_for_browsers_and_a_word_for_programs(site: httpx.Client) -> None:
    shown = site.get("/", headers={"accept": "text/html,*/*"})
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert shown.content == (FOLDER / "index.html").read_bytes()
    assert site.get("/").text == "BELLE Edge is running\n"


def test_every_file_has_its_type_and_the_policy(site: httpx.Client) -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        response = site.get(f"/page/{path.relative_to(FOLDER).as_posix()}")
        assert response.status_code == 200, path
        assert response.content == path.read_bytes()
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http:" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        again = site.get(response.request.url.path, headers={"if-none-match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/page/..%2fdesk.py",
        "/page/../desk.py",
        "/page/%2e%2e/desk.py",
        "/page//etc/passwd",
        "/page/v1/nothing",
    ],
)
def test_nothing_else(site: httpx.Client, path: str) -> None:
    response = site.get(path)
    assert response.status_code in (403, 404)
    assert "import" not in response.text


def test_foreign_pages_and_names(start_page: StartPage) -> None:
    server, _ = start_page()
    with httpx.Client(base_url=server.address) as foreign:
        for headers in (
            {"origin": "http://evil.example"},
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"},
            {"host": "evil.example"},
        ):
            response = foreign.post("/page/v1/chats", json={}, headers=headers)
            assert response.status_code == 403
        assert foreign.get("/page/v1/chats").json()["chats"] == []


def test_a_key(start_page: StartPage) -> None:
    """The page's files are open, its interface is not; the events take it, too."""
    server, without = start_page("--api-key", "secret")
    with httpx.Client(base_url=server.address) as client:
        assert client.get("/", headers={"accept": "text/html"}).status_code == 200
        assert client.get("/page/js/main.js").status_code == 200
        assert client.get("/page/v1/events").status_code == 401
    assert without.refused("GET", "/state")[0] == 401
    assert PageClient(server.address, key="secret").get("/state")["models"]


def test_without_a_page(start_page: StartPage) -> None:
    server, client = start_page("--no-page")
    assert client.http.get("/state").status_code == 404
    with httpx.Client(base_url=server.address) as site:
        assert site.get("/", headers={"accept": "text/html"}).text == "BELLE Edge is running\n"


def test_folders_only_for_this_computer(start_page: StartPage, tmp_path: object) -> None:
    server, client = start_page("--allow-host", "belle.example")
    assert not client.get("/state")["folders_allowed"]
    assert client.get("/state")["data_folder"] is None
    for method, path, body in (
        ("GET", "/folders", None),
        ("POST", "/models", {"path": str(tmp_path)}),
        ("POST", "/jobs", {"kind": "convert", "source": str(tmp_path)}),
        ("DELETE", "/jobs/1", None),
    ):
        status, error = client.refused(method, path, body)
        assert (status, error["code"]) == (403, "folders_not_allowed")
    assert "/" not in client.get("/models")[0]["file"]
    assert isinstance(server, ServerProcess)
