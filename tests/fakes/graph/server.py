"""The HTTP side: versions, tokens, parameters, batch, usage headers, scripted failures, and a log of every call."""

from __future__ import annotations

import hashlib
import hmac
import importlib
import json
import re
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.fakes.graph import faults, routing
from tests.fakes.graph.faults import Broken, Fault
from tests.fakes.graph.routing import Request
from tests.fakes.graph.world import Token, World

# Each file that answers paths; a path that two could answer is answered by the earlier one.
SUBJECTS = ("identity", "insights", "campaigns", "forms", "objects")
VERSIONS = ("v25.0", "v26.0")
MOST_IN_BATCH = 50
# Uploads by field: (file name, bytes).
Files = Mapping[str, tuple[str, bytes]]


@dataclass(frozen=True)
class Call:
    """One HTTP request as it arrived: `target` is the request line's path and query, as it was sent."""

    method: str
    target: str
    path: str
    params: Mapping[str, Any]
    headers: Mapping[str, str]
    body: bytes
    at: float


@dataclass
class Script:
    """The next `times` calls (after `after` others) of a path that matches fail, or are answered oddly."""

    pattern: re.Pattern[str]
    what: Fault | Broken
    times: int
    after: int
    method: str | None

    def takes(self, method: str, path: str) -> bool:
        if self.times <= 0 or (self.method or method) != method or not self.pattern.search(path):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


class Server:
    """A Graph server on a free port: `with Server(world) as graph: … graph.url`."""

    def __init__(self, world: World | None = None, *, port: int = 0, latency: float = 0.0) -> None:
        for subject in SUBJECTS:
            importlib.import_module(f"tests.fakes.graph.{subject}")
        self.world = world or World()
        self.latency = latency
        self.calls: list[Call] = []
        # Sent with every answer: X-App-Usage and the like.
        self.headers: dict[str, str] = {}
        self._scripts: list[Script] = []
        self._lock = threading.Lock()
        self._http = _Http(("127.0.0.1", port), _Handler)
        self._http.graph = self
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Server:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def serve(self) -> None:
        """Answer until interrupted."""
        with suppress(KeyboardInterrupt):
            self._http.serve_forever()
        self._http.server_close()

    def fail(
        self, pattern: str, what: Fault | Broken, *, times: int = 1, after: int = 0, method: str | None = None
    ) -> None:
        """Let the next `times` calls of a matching path (without version) go wrong, after `after` good ones."""
        self._scripts.append(Script(re.compile(pattern), what, times, after, method))

    @property
    def unused(self) -> int:
        """How many calls are still to go wrong."""
        return sum(one.times for one in self._scripts)

    def forgive(self) -> None:
        """Let nothing go wrong any more."""
        self._scripts.clear()

    def seen(self, pattern: str, method: str | None = None) -> list[Call]:
        """The calls of a path so far."""
        return [c for c in self.calls if re.search(pattern, c.path) and (method or c.method) == c.method]

    # ------------------------------------------------------------------------------------------------------- answering

    def scripted(self, method: str, path: str) -> Fault | Broken | None:
        with self._lock:
            return next((one.what for one in self._scripts if one.takes(method, path)), None)

    def answer(self, call: Call, files: Files, *, straight: bool = False) -> Any:
        """Return the body of a rightly formed request; `straight`: whatever is scripted. Raises Fault, _Broken."""
        version, _, path = call.path.partition("/")
        if not re.fullmatch(r"v\d+\.\d+", version):
            raise faults.invalid("Unversioned calls are not answered here: put the version first")
        if version not in VERSIONS:
            raise Fault(2635, None, f"(#2635) You are calling a deprecated version of the Ads API ({version}).")
        token = self._token(call)
        if call.method == "POST" and not path:
            if not straight:
                self._go_wrong(call.method, path)
            return [self._inner(one, token) for one in self._batch(call.params)]
        return self._one(call.method, path, call.params, files, token, straight=straight)

    def _one(
        self, method: str, path: str, params: Mapping[str, Any], files: Files, token: Token | None, *,
        straight: bool = False,
    ) -> Any:  # fmt: skip
        if not straight:
            self._go_wrong(method, path)
        if token is None and not path.startswith("oauth/"):
            raise Fault(2500, None, "An active access token must be used to query information about the current user.")
        found, caught = routing.find(method, path)
        with self._lock:
            return found(Request(method, path, params, files, token, self.world, caught))

    def _go_wrong(self, method: str, path: str) -> None:
        """Do what is scripted for a call; the path of a batch itself is empty."""
        what = self.scripted(method, path)
        if isinstance(what, Fault):
            raise what
        if isinstance(what, Broken):
            raise _Broken(what)

    def _batch(self, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        calls = params.get("batch")
        if not isinstance(calls, list):
            raise faults.invalid("batch parameter must be a JSON array", "batch")
        if len(calls) > MOST_IN_BATCH:
            raise Fault(100, None, f"(#100) Too many requests in batch message. Maximum batch size is {MOST_IN_BATCH}")
        return calls

    def _inner(self, one: Mapping[str, Any], token: Token | None) -> Any:
        split = urlsplit(str(one["relative_url"]))
        pairs = [
            *parse_qsl(split.query, keep_blank_values=True),
            *parse_qsl(one.get("body", ""), keep_blank_values=True),
        ]
        try:
            body = self._one(one["method"], split.path.strip("/"), _decoded(pairs), {}, token)
        except Fault as fault:
            return _inner_answer(fault.status, fault.body)
        except _Broken:
            return None  # timed out inside of the batch
        return _inner_answer(200, body)

    def _token(self, call: Call) -> Token | None:
        given = call.headers.get("authorization", "")
        text = given.removeprefix("Bearer ") if given.startswith("Bearer ") else call.params.get("access_token")
        if not text:
            return None
        if text == f"{self.world.app_id}|{self.world.app_secret}":
            return Token(text, None, kind="APP")
        token = self.world.known(str(text))
        if token is None:
            raise Fault(190, None, f"Malformed access token {text}")
        if (subcode := token.refusal()) is not None:
            raise faults.bad_token(subcode)
        self._check_proof(call, token)
        return token

    def _check_proof(self, call: Call, token: Token) -> None:
        proof = call.params.get("appsecret_proof")
        right = hmac.new(self.world.app_secret.encode(), token.text.encode(), hashlib.sha256).hexdigest()
        if proof is None and not self.world.require_proof:
            return
        if str(proof) != right:
            raise Fault(100, None, "Invalid appsecret_proof provided in the API argument")


class _Broken(Exception):
    def __init__(self, what: Broken) -> None:
        super().__init__(what.kind)
        self.what = what


def _inner_answer(status: int, body: Any) -> dict[str, Any]:
    header = {"name": "Content-Type", "value": "application/json"}
    return {"code": status, "headers": [header], "body": json.dumps(body)}


def _decoded(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Parameters by name; what looks like JSON is decoded, as Graph does."""
    return {name: _value(text) for name, text in pairs}


def _value(text: str) -> Any:
    if text[:1] in ("[", "{", '"') or text in ("true", "false"):
        with suppress(ValueError):
            return json.loads(text)
    return text


# ----------------------------------------------------------------------------------------------------------------- HTTP


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    graph: Server

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nothing to report."""


@dataclass
class _Parsed:
    params: dict[str, Any]
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body are two writes, and the second must not wait for the first one's acknowledgement.
    disable_nagle_algorithm = True
    server: _Http

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()

    def log_message(self, format: str, *args: Any) -> None:
        """The log is `Server.calls`."""

    def _handle(self) -> None:
        graph = self.server.graph
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        split = urlsplit(self.path)
        parsed = _parse(split.query, body, self.headers.get("Content-Type", ""))
        path = unquote(split.path).strip("/")
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(self.command, self.path, path, parsed.params, headers, body, time.monotonic())
        graph.calls.append(call)
        if graph.latency:
            time.sleep(graph.latency)
        try:
            self._send(200, json.dumps(graph.answer(call, parsed.files)))
        except Fault as fault:
            self._send(fault.status, json.dumps(fault.body), headers=fault.headers)
        except _Broken as broken:
            self._break(broken.what, call, parsed)

    def _break(self, what: Broken, call: Call, parsed: _Parsed) -> None:
        if what.kind == "raw":
            self._send(what.status, what.text, what.content_type, what.headers)
            return
        if what.kind == "refused":
            self._hang_up()
            return
        # What comes late or never has been carried out all the same.
        time.sleep(what.seconds)
        text = json.dumps(self.server.graph.answer(call, parsed.files, straight=True))
        if what.kind == "dropped":
            self._hang_up()
        elif what.kind == "truncated":
            self._send(200, text, cut=len(text) // 2)
            self._hang_up()
        else:
            self._send(200, text)

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _send(
        self, status: int, text: str, content_type: str = "application/json", headers: Mapping[str, str] | None = None,
        cut: int | None = None,
    ) -> None:  # fmt: skip
        data = text.encode()
        self.send_response(status)
        sent = {
            "Content-Type": content_type,
            "facebook-api-version": "v26.0",
            **self.server.graph.headers,
            **(headers or {}),
        }
        for name, value in sent.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:cut])
        self.wfile.flush()


def _parse(query: str, body: bytes, content_type: str) -> _Parsed:
    pairs = parse_qsl(query, keep_blank_values=True)
    if content_type.startswith("multipart/"):
        return _multipart(pairs, body, content_type)
    if content_type.startswith("application/x-www-form-urlencoded"):
        pairs += parse_qsl(body.decode(), keep_blank_values=True)
    return _Parsed(_decoded(pairs))


def _multipart(pairs: list[tuple[str, str]], body: bytes, content_type: str) -> _Parsed:
    message = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body, policy=policy.HTTP)
    files = {}
    for part in message.iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        content = bytes(part.get_content() if part.get_content_maintype() != "text" else part.get_content().encode())
        if part.get_filename():
            files[name] = (str(part.get_filename()), content)
        else:
            pairs.append((name, content.decode()))
    return _Parsed(_decoded(pairs), files)
