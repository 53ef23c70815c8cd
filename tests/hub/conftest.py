"""A hub on 127.0.0.1: the part of the Hugging Face Hub's protocol that models and data sets need.

A data set `owner/name` is kept as the repository `datasets/owner/name`.
"""

import base64
import hashlib
import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

TOKEN = "hf_right"
LARGE = (".h5", ".safetensors", ".png")  # kept apart from git, as the real hub does


@dataclass
class Repository:
    """Files by commit; a branch or a tag names a commit."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], ref: str = "main") -> str:
        sha = hashlib.sha1(f"{len(self.commits)} {ref}".encode()).hexdigest()
        self.commits[sha], self.refs[ref] = dict(files), sha
        return sha


class Hub:
    """What the server holds, and what it was asked.

    Attributes:
        repositories: By `owner/name`.
        asked: `"METHOD path"` of every request.
        cut: Files whose transfers break off: how many of them, then they go well.
        flipped: Files that arrive with one byte changed.
        down: Whether every answer is 503.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.cut: dict[str, int] = {}
        self.flipped: set[str] = set()
        self.down = False

    def add(self, name: str, files: dict[str, bytes], **options: bool) -> Repository:
        self.repositories[name] = Repository(**options)
        self.repositories[name].commit(files)
        return self.repositories[name]

    def downloads(self) -> list[str]:
        """The files that were asked for, without their repositories."""
        return [line.rpartition("/")[2] for line in self.asked if line.startswith("GET /me/")]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: object) -> None:
        pass

    def send(self, status: int, body: object = b"", **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def refuse(self, status: int, code: str) -> None:
        self.send(status, {"error": code}, X_Error_Code=code, X_Error_Message=code)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def authorized(self) -> bool:
        return self.headers.get("authorization") == f"Bearer {TOKEN}"

    def found(self, name: str, revision: str) -> tuple[Repository, str] | None:
        """The repository and the commit, or an answer that says why not."""
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and not self.authorized()):
            return self.refuse(404 if self.authorized() else 401, "RepoNotFound")
        commit = repository.refs.get(revision, revision)
        if commit not in repository.commits:
            return self.refuse(404, "RevisionNotFound")
        return repository, commit

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        body = self.body()
        if self.hub.down:
            return self.send(503)
        if self.command in ("GET", "HEAD"):
            if path.startswith("/api/models/"):
                return self.info(path.removeprefix("/api/models/"))
            if path.startswith("/api/datasets/") and "/tree/" in path:
                return self.tree(*path.removeprefix("/api/").split("/tree/"))
            if path.startswith("/api/datasets/"):
                return self.info(path.removeprefix("/api/"))
            return self.file(path)
        if path.startswith("/api/datasets/") and "/paths-info/" in path:
            name, revision = path.removeprefix("/api/").split("/paths-info/")
            return self.entries(name, revision, parse_qs(body.decode()).get("paths", []))
        return self.write(path, body)

    do_GET = do_HEAD = do_POST = do_PUT = answer

    def info(self, path: str) -> None:
        name, _, revision = path.partition("/revision/")
        if there := self.found(name, revision or "main"):
            repository, commit = there
            files = [{"rfilename": file} for file in sorted(repository.commits[commit])]
            about = {"id": name, "private": repository.private, "sha": commit, "siblings": files}
            self.send(200, {**about, "tags": [], "downloads": 0, "likes": 0})

    def tree(self, name: str, place: str) -> None:
        """What is in a folder of a data set; if asked for, also what is in its folders."""
        revision, _, folder = place.partition("/")
        if there := self.found(name, revision):
            repository, commit = there
            start = f"{folder}/" if folder else ""
            files = [p for p in repository.commits[commit] if p.startswith(start)]
            inside = [path.removeprefix(start) for path in files]
            paths = [f"{start}{path.partition('/')[0]}" for path in inside]
            if "recursive=true" in self.path.lower():
                paths += [f"{start}{path}" for path in inside]
            self.entries(name, revision, list(dict.fromkeys(paths)))

    def entries(self, name: str, revision: str, paths: list[str]) -> None:
        """Files and folders of a data set as the hub describes them; those that exist."""
        if not (there := self.found(name, revision)):
            return
        repository, commit = there
        files, found = repository.commits[commit], []
        for path in paths:
            if path in files:
                digest = hashlib.sha1(files[path]).hexdigest()
                size = len(files[path])
                found.append({"type": "file", "path": path, "oid": digest, "size": size})
            elif any(file.startswith(f"{path}/") for file in files):
                found.append({"type": "directory", "path": path, "oid": "0" * 40})
        self.send(200, found)

    def file(self, path: str) -> None:
        if "/resolve/" not in path:
            return self.refuse(404, "NotFound")
        name, _, place = path.removeprefix("/").partition("/resolve/")
        revision, _, file = place.partition("/")
        there = self.found(name, revision)
        if not there:
            return
        repository, commit = there
        if repository.gated and not self.authorized():
            return self.refuse(403, "GatedRepo")
        content = repository.commits[commit].get(file)
        if content is None:
            return self.refuse(404, "EntryNotFound")
        digest = hashlib.sha256(content).hexdigest()
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        if file in self.hub.flipped:
            content = content[:-1] + bytes([content[-1] ^ 1])
        self.send_response(206 if start else 200)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", f'"{digest}"')
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.cut.get(file, 0) > 0:
            self.hub.cut[file] -= 1
            self.wfile.write(content[start : start + (len(content) // 2 if not start else 0)])
            self.close_connection = True
            return
        self.wfile.write(content[start:])

    def write(self, path: str, body: bytes) -> None:
        if path.startswith("/lfs/"):
            self.hub.objects[path.removeprefix("/lfs/")] = body
            return self.send(200)
        if not self.authorized():
            return self.refuse(401, "Unauthorized")
        if path == "/api/validate-yaml":
            return self.send(200, {"errors": [], "warnings": []})
        if path == "/api/repos/create":
            return self.create(json.loads(body))
        if path.endswith(".git/info/lfs/objects/batch"):
            return self.batch(json.loads(body))
        name, kind, ref = path.removeprefix("/api/models/").rsplit("/", 2)
        if kind == "preupload":
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            return self.send(200, {"files": files})
        return self.commit(name, ref, [json.loads(line) for line in body.splitlines()])

    def create(self, wanted: dict) -> None:
        name = f"{wanted['organization']}/{wanted['name']}"
        url = f"http://{self.headers['Host']}/{name}"
        if name in self.hub.repositories:
            return self.send(409, {"url": url})
        private = bool(wanted.get("private")) or wanted.get("visibility") == "private"
        self.hub.add(name, {}, private=private)
        self.send(200, {"url": url})

    def batch(self, wanted: dict) -> None:
        host = f"http://{self.headers['Host']}"
        objects = [
            {**entry, "actions": {"upload": {"href": f"{host}/lfs/{entry['oid']}"}}}
            for entry in wanted["objects"]
        ]
        self.send(200, {"transfer": "basic", "objects": objects})

    def commit(self, name: str, ref: str, lines: list[dict]) -> None:
        repository = self.hub.repositories[name]
        files = dict(repository.commits[repository.refs[ref]])
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
        sha = repository.commit(files, ref)
        url = f"http://{self.headers['Host']}/{name}/commit/{sha}"
        self.send(200, {"commitUrl": url, "commitOid": sha, "success": True})


@pytest.fixture(scope="session")
def hub_server():
    """The server of this session; `hub` empties it for each test."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def at_hub(monkeypatch, tmp_path):
    """`at_hub(address)`: what `HF_ENDPOINT` does, which the library reads once, when imported."""
    library = pytest.importorskip("huggingface_hub", reason="pip install '.[hub]'")
    from huggingface_hub import constants, utils

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub_cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no_token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    utils.disable_progress_bars()

    def turn_to(address: str) -> None:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    yield turn_to
    utils.enable_progress_bars()
    library.close_session()


@pytest.fixture
def hub(hub_server, at_hub, monkeypatch):
    """An empty hub that this test's process talks to."""
    Handler.hub = Hub()
    at_hub(f"http://127.0.0.1:{hub_server.server_port}")
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    return Handler.hub


@pytest.fixture
def no_network(at_hub):
    """`no_network()`: from now on, the hub's address is a port where nobody listens."""

    def cut() -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            at_hub(f"http://127.0.0.1:{free.getsockname()[1]}")

    return cut


@pytest.fixture
def exported(tiny_family, tmp_path):
    """`exported("vae")`: the files of an export, by name; the model's own first."""
    from facegen_keras.export.write import save_generator

    def export(family: str = "dcgan", folder: str = "here") -> dict[str, bytes]:
        model = tiny_family(family)
        path = save_generator(model, tmp_path / folder / f"{family}_{model.main_part}.h5")
        others = sorted(file for file in path.parent.iterdir() if file != path)
        return {file.name: file.read_bytes() for file in (path, *others)}

    return export


@pytest.fixture
def cached(tmp_path):
    """`cached()`: the names of the files in the cache, without its own records."""

    def names() -> set[str]:
        folder = Path(tmp_path / "hub_cache")
        return {p.name for p in folder.glob("models--*/snapshots/*/**/*") if p.is_file()}

    return names
