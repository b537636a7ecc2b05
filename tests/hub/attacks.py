"""What a hostile hub or mirror can answer, and how each is refused."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from typing import Any

from .hostile_hub import WEIGHTS, Attack, HostileHandler, Reply
from .stand_in import COMMIT

CHUNKED = "200 OK\nTransfer-Encoding: chunked"
CHUNK = b"2000\r\n" + b" " * 0x2000 + b"\r\n"
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


def with_commit(value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda listing: {**listing, "sha": value}


def with_file(**fields: Any) -> Callable[[dict[str, Any]], Any]:
    """The list, where the entry of the weights (the last one) has other fields."""
    return lambda listing: {
        **listing,
        "siblings": [*listing["siblings"][:-1], {**listing["siblings"][-1], **fields}],
    }


def with_names(*names: str) -> Callable[[dict[str, Any]], Any]:
    """The list with further files."""
    return lambda listing: {
        **listing,
        "siblings": [*listing["siblings"], *({"rfilename": name, "size": 2} for name in names)],
    }


def with_sha256(value: Any) -> Callable[[dict[str, Any]], Any]:
    return with_file(lfs={"sha256": value, "size": len(WEIGHTS)})


def raw(head: str, *bodies: bytes) -> Reply:
    return lambda handler: handler.raw(head, *bodies)


def text(body: str) -> Reply:
    """A list as it is written, for what json.dumps does not write."""
    content = body.encode("utf-8", "surrogatepass")
    return raw(f"200 OK\nContent-Length: {len(content)}", content)


def endless(head: str, piece: bytes, pause_s: float = 0.0) -> Reply:
    return lambda handler: handler.endless(head, piece, pause_s=pause_s)


def redirect(location: str) -> Reply:
    """To `location`, where {other} is the other host."""
    return lambda handler: handler.raw(
        f"302 Found\nContent-Length: 0\nLocation: {location.replace('{other}', handler.other)}"
    )


def headers(**fields: str) -> Reply:
    """An answer for the weights with these headers; underscores stand for hyphens."""
    lines = "".join(f"\n{name.replace('_', '-')}: {value}" for name, value in fields.items())
    return raw(f"200 OK{lines}")


def ping_pong(handler: HostileHandler) -> None:
    """Away to the other host, which sends back to the hub: the login must not come along again."""
    if "again" in handler.path:
        handler.send(WEIGHTS[::-1])
    else:
        handler.raw(f"302 Found\nContent-Length: 0\nLocation: {handler.other}/back?to={handler.path}?again")


def as_range(handler: HostileHandler) -> None:
    head = f"206 Partial Content\nContent-Range: bytes 7-99/100\nContent-Length: {len(WEIGHTS)}"
    handler.raw(head, WEIGHTS)


LIST = [
    Attack("commit-is-a-path", "sha is '../../../.ssh', expected 40", with_commit("../../../.ssh")),
    Attack("commit-is-absolute", "sha is '/tmp', expected 40", with_commit("/tmp")),
    Attack("commit-in-capitals", "sha is 'A+', expected 40", with_commit("A" * 40)),
    Attack("commit-with-newline", r"sha is '0+\\n', expected", with_commit("0" * 40 + "\n")),
    Attack("commit-is-a-list", r"sha is \['[0-9a-f]+'\], expected", with_commit([COMMIT])),
    Attack("no-commit", "no sha, expected the commit", with_commit(None)),
    Attack("another-commit", f"sha is f+, asked for {COMMIT}", with_commit("f" * 40), revision=COMMIT),
    Attack("list-for-object", r"the answer is \[.*\], expected an object", lambda listing: [listing]),
    Attack("text-for-object", "the answer is 'no', expected an object", lambda listing: "no"),
    Attack("object-for-list", r"siblings is \{\}, expected", lambda listing: {**listing, "siblings": {}}),
    Attack(
        "texts-for-files", "in siblings is '../x', expected", lambda listing: {**listing, "siblings": ["../x"]}
    ),
    Attack("name-is-a-number", "rfilename is 7, expected a name", with_file(rfilename=7)),
    Attack("name-leads-up", r"the file name '\.\./x\.json' leads out", with_names("../x.json")),
    Attack("name-is-dots", r"the file name '\.\.' leads out", with_names("..")),
    Attack("name-is-empty", "the file name '' leads out", with_names("")),
    Attack("name-is-absolute", "the file name '/tmp/x.json' leads out", with_names("/tmp/x.json")),
    Attack("name-leads-up-later", r"'a/\.\./\.\./x\.json' leads out", with_names("a/../../x.json")),
    Attack("name-with-drive", r"\[C:\\x\.json\] refused: a name with a backslash", with_names("C:\\x.json")),
    Attack("name-with-backslashes", r"refused: a name with a backslash", with_names("..\\x.json")),
    Attack("name-with-stream", r"\[x:y\.json\] refused: a name with a backslash", with_names("x:y.json")),
    Attack("name-with-nul", r"'x\\x00\.json' has control", with_names("x\0.json")),
    Attack("name-with-escape", r"'\\x1b\[2Jx\.json' has control", with_names("\x1b[2Jx.json")),
    Attack("name-with-newline", r"'x\\n\.json' has control", with_names("x\n.json")),
    Attack("name-turns-around", r"'x\\u202enosj\.json' has control", with_names("x\u202enosj.json")),
    Attack("name-is-half-a-character", "the lone surrogate", with_names("\ud800.json")),
    Attack("name-too-long", "a name of 305 bytes, at most 240", with_names("a" * 300 + ".json")),
    Attack("path-too-long", "a name of 1402 bytes", with_names("a/" * 700 + "ab"), include=("a/" * 700 + "*",)),
    Attack("name-of-a-device", r"'CON\.json', which is no file on Windows", with_names("CON.json")),
    Attack("name-ends-in-a-dot", r"'config\.json\.', which is no file", with_names("config.json."), include=("*",)),
    Attack("name-of-a-partial-file", "a name that our unfinished", with_names("x.incomplete"), include=("*",)),
    Attack("the-same-name-twice", r"\[config\.json\] .* one place for two files", with_names("config.json")),
    Attack("names-differ-in-case", r"one place for two files.* 'config\.json'", with_names("Config.json")),
    Attack(
        "a-file-and-a-folder",
        r"\[config\.json\] .* a folder of 'config\.json/x\.json'",
        with_names("config.json/x.json"),
        include=("*.json", "*/*.json"),
    ),
    Attack("size-is-text", "size is '10', expected a number of bytes", with_file(size="10")),
    Attack("size-is-negative", "size is -1, expected", with_file(size=-1)),
    Attack("size-is-enormous", "size is 10+, expected", with_file(size=10**30)),
    Attack("size-is-a-fraction", r"size is 1\.5, expected", with_file(size=1.5)),
    Attack("size-is-true", "size is True, expected", with_file(size=True)),
    Attack("size-is-a-list", r"size is \[10\], expected", with_file(size=[10])),
    Attack("size-fills-the-disk", "needs 1125899.91 GB", with_file(size=1 << 50)),
    Attack("size-is-no-number", "NaN is no JSON value", with_file(size=float("nan"))),
    Attack("size-is-infinite", "Infinity is no JSON value", with_file(size=float("inf"))),
    Attack("size-overflows", "a number out of range", on_list=text(f'{{"sha": "{COMMIT}", "siblings":'
           ' [{"rfilename": "x.json", "size": 1e400}]}')),
    Attack("size-of-5000-digits", "the answer is no JSON", on_list=text(f'{{"sha": "{COMMIT}", "siblings":'
           f' [{{"rfilename": "x.json", "size": 1{"0" * 5000}}}]}}')),
    Attack("lfs-is-a-list", r"lfs is \['[0-9a-f]+'\], expected an object", with_file(lfs=[SHA256])),
    Attack("hash-leads-to-a-key", r"lfs.sha256 is '\.\./\.\./\.\./\.ssh/id_rsa'", with_sha256("../../../.ssh/id_rsa")),
    Attack("hash-is-absolute", "lfs.sha256 is '/etc/passwd'", with_sha256("/etc/passwd")),
    Attack("hash-in-capitals", "lfs.sha256 is '[0-9A-F]+', expected 64", with_sha256(SHA256.upper())),
    Attack("hash-is-a-number", "lfs.sha256 is 12, expected 64", with_sha256(12)),
    Attack("hash-too-short", "lfs.sha256 is '[0-9a-f]+', expected 64", with_sha256(SHA256[:40])),
    Attack("git-hash-is-dots", r"blobId is '\.\.', expected 40", with_file(lfs=None, blobId="..")),
    Attack("deep-json", "levels", on_list=text("[" * 1_000_000)),
    Attack("half-a-list", "the answer is no JSON", on_list=text('{"sha": ')),
    Attack("no-text", "expected UTF-8", on_list=raw("200 OK\nContent-Length: 2", b"\xff\xfe")),
]  # fmt: skip
ANSWERS = [
    Attack("endless-list", "the answer is longer than", on_list=endless(CHUNKED, CHUNK)),
    Attack(
        "list-of-a-terabyte",
        "the answer is longer than",
        on_list=endless("200 OK\nContent-Length: 999999999999", b" " * 65536),
    ),
    Attack(
        "packed-list",
        "the body is encoded as 'gzip'",
        on_list=raw("200 OK\nContent-Encoding: gzip", gzip.compress(bytes(10_000_000))),
    ),
    Attack("slow-list", "too slowly|took more than", on_list=endless(CHUNKED, b"1\r\n \r\n", 0.1)),
    Attack("slow-headers", "too slowly", on_list=endless("200 OK\nX: ...", b"a", 0.1)),
    Attack("endless-headers", "cannot be reached", on_list=endless("200 OK\nX: ...", b"a" * 9999)),
    Attack(
        "endless-beginnings",
        "too slowly|cannot be reached",
        on_list=endless("100 Continue", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
    ),
    Attack("not-http", "cannot be reached", on_list=lambda handler: handler.endless("\0", b"\0" * 9999)),
    Attack("status-for-nothing", "status 204", on_list=raw("204 No Content")),
    Attack("status-not-modified", "status 304", on_list=raw("304 Not Modified")),
    Attack(
        "escape-in-the-error",
        r"access refused \(403\)",
        on_list=raw("403 \x1b[2JNo\nX-Error-Code: Gated\x1b[2J\nX-Error-Message: \x1b[2J\nContent-Length: 0"),
    ),
    Attack("redirects-in-a-circle", "more than 5 redirects", on_list=redirect(f"/api/models/x/y?{COMMIT}")),
    Attack(
        "redirect-with-an-endless-body",
        "expected an http or https address, got 'ftp",
        on_list=endless(CHUNKED.replace("200 OK", "302 Found\nLocation: ftp://a/"), CHUNK),
    ),
    Attack(
        "redirect-to-a-file",
        "http or https address, got 'file:///etc",
        on_list=redirect("file:///etc/passwd"),
    ),
    Attack(
        "redirect-to-nowhere", "a redirect without an address", on_list=raw("302 Found\nContent-Length: 0")
    ),
    Attack("redirect-to-no-port", "http or https address", on_list=redirect("http://127.0.0.1:99999/")),
    Attack("redirect-to-no-host", "no address|expected an http", on_list=redirect("http://[::1/")),
    Attack("redirect-with-login", "a login in the address", on_list=redirect("http://a:b@127.0.0.1/")),
    Attack("list-of-another-host", "no such model on the hub", on_list=redirect("{other}/api/models/x/y")),
    Attack(
        "etag-is-dots",
        r"the etag is '\"\.\.\"', expected a hash",
        on_small=headers(ETag='".."'),
        without_hashes=True,
    ),
    Attack(
        "etag-is-a-path",
        "the etag is .*id_rsa",
        on_small=headers(ETag='"../../.ssh/id_rsa"'),
        without_hashes=True,
    ),
    Attack("etag-too-long", "the etag is", on_small=headers(ETag=f'"{"a" * 500}"'), without_hashes=True),
    Attack(
        "linked-size-is-text",
        "x-linked-size is 'abc'",
        on_large=headers(X_Linked_Size="abc"),
        without_hashes=True,
    ),
    Attack(
        "linked-size-is-negative",
        "x-linked-size is '-5'",
        on_large=headers(X_Linked_Size="-5"),
        without_hashes=True,
    ),
    Attack(
        "linked-size-is-enormous",
        "x-linked-size is '9+'",
        on_large=headers(X_Linked_Size="9" * 40),
        without_hashes=True,
    ),
    Attack(
        "head-of-another-commit",
        "the file is of commit 'f+'",
        on_large=headers(X_Repo_Commit="f" * 40),
        without_hashes=True,
    ),
    Attack(
        "no-size-no-end",
        "the body goes on after 1,000,000 bytes",
        on_small=endless(CHUNKED, CHUNK),
        without_hashes=True,
    ),
    Attack("file-of-another-commit", "the file is of commit '../x'", on_large=headers(X_Repo_Commit="../x")),
    Attack("body-goes-on", "the body goes on after 10,240 bytes", on_large=endless(CHUNKED, CHUNK)),
    Attack(
        "body-larger-than-stated",
        "a size of 99,999 bytes, stated before as 10,240",
        on_large=endless("200 OK\nContent-Length: 99999", CHUNK),
    ),
    Attack(
        "body-length-is-text",
        "download stopped|expected a number",
        on_large=raw("200 OK\nContent-Length: abc", WEIGHTS),
    ),
    Attack(
        "body-breaks-off",
        "the download stopped",
        on_large=raw("200 OK\nContent-Length: 10240", WEIGHTS[:100]),
    ),
    Attack(
        "body-is-packed",
        "the body is encoded as 'gzip'",
        on_large=raw("200 OK\nContent-Encoding: gzip", gzip.compress(WEIGHTS)),
    ),
    Attack("body-is-slow", "too slowly", on_large=endless(CHUNKED, b"1\r\n \r\n", 0.1)),
    Attack("range-that-nobody-asked-for", "got the range 'bytes 7-99/100'", on_large=as_range),
    Attack(
        "wrong-weights", "checksum: expected SHA-256", on_large=lambda handler: handler.send(WEIGHTS[::-1])
    ),
    Attack(
        "wrong-small-file", "checksum: expected git's SHA-1", on_small=lambda handler: handler.send(bytes(23))
    ),
    Attack("weights-of-another-host", "vanished from the hub", on_large=redirect("{other}/nowhere")),
    Attack("away-and-back", "vanished|checksum", on_large=ping_pong),
    Attack(
        "redirects-of-a-file",
        "more than 5 redirects",
        on_large=lambda handler: handler.raw(f"307 X\nContent-Length: 0\nLocation: {handler.path}"),
    ),
]
