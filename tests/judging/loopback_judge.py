"""Serve a deterministic judge on loopback, which follows a script of faults first: for tests of everything that judges.

    with loopback_judge() as url:
        Judge(JudgeConfig(url=url, model="loopback", key_variable="LOOPBACK_API_KEY"))

A rating comes from the text of the prompt alone, so that the same answer is rated the same by every process.
"""

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "loopback"
Write = Callable[[dict[str, Any]], str]
"""Returns what the judge writes to a request."""
Fault = Callable[["Handler"], None]
"""Answers one request in a way of its own."""


def rate(body: dict[str, Any]) -> str:
    """Return a judgement whose rating, from 1 to 10 in halves, is a hash of the prompt; `[[C]]` for a comparison."""
    prompt = "\n".join(message["content"] for message in body["messages"])
    if "[[A]]" in prompt:
        return "Both are alike. [[C]]"
    step = int(hashlib.sha256(prompt.encode()).hexdigest(), 16) % 19
    return f"The answer was read. Rating: [[{1 + step / 2:g}]]"


class LoopbackServer(ThreadingHTTPServer):
    """The server, what it was sent, and how it is to answer."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, write: Write, script: Sequence[Fault], key: str | None, model: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.write, self.script, self.key, self.model = write, list(script), key, model
        self.headers_seen: list[dict[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.closing = threading.Event()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Be quiet about connections that a test cuts."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: LoopbackServer
    body: dict[str, Any]

    def log_message(self, format: str, *arguments: Any) -> None:
        """Print nothing."""

    def do_GET(self) -> None:  # the name that http.server calls
        if self.path == "/v1/models":
            self.answer(200, {"object": "list", "data": [{"id": self.server.model, "object": "model"}]})
        else:
            self.answer(404, {"error": {"message": "not found"}})

    def do_POST(self) -> None:
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.headers_seen.append({name.lower(): value for name, value in self.headers.items()})
            self.server.bodies.append(self.body)
            fault = self.server.script.pop(0) if self.server.script else None
        (fault or Handler.judge)(self)

    def judge(self) -> None:
        """Answer as a good server does."""
        if self.path != "/v1/chat/completions":
            self.answer(404, {"error": {"message": "not found"}})
        elif self.server.key is not None and self.headers["Authorization"] != f"Bearer {self.server.key}":
            self.answer(401, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}})
        elif self.body["model"] != self.server.model:
            message = f"The model {self.body['model']!r} does not exist."
            self.answer(404, {"error": {"message": message, "code": "model_not_found"}})
        else:
            self.answer(200, completion(self.server.write(self.body)))

    def answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        """Send JSON, or text as it is."""
        text = content if isinstance(content, str) else json.dumps(content)
        raw = text.encode("utf-8", "surrogateescape")
        self.send_response(status)
        kind = "text/html" if isinstance(content, str) else "application/json"
        for name, value in {"Content-Type": kind, "Content-Length": str(len(raw)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)


def completion(text: str | None, **changes: Any) -> dict[str, Any]:
    """Return a chat completion as a server of OpenAI sends it."""
    message = {"role": "assistant", "content": text}
    return {
        "id": "1", "object": "chat.completion", "created": 1, "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": changes.pop("finish_reason", "stop")}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}, **changes,
    }  # fmt: skip


def says(text: str | None, **changes: Any) -> Fault:
    """Return a fault that is a whole reply with another text."""
    return lambda handler: handler.answer(200, completion(text, **changes))


def status(code: int, content: Any = None, **headers: str) -> Fault:
    """Return a fault that is another status, with headers (`retry_after="7"`)."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    error = {"error": {"message": f"fault {code}"}} if content is None else content
    return lambda handler: handler.answer(code, error, named)


def silent(handler: Handler) -> None:
    """Accept the request, and never answer it."""
    handler.server.closing.wait(60)


def drip(handler: Handler) -> None:
    """Send the header of a reply byte by byte, without an end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not handler.server.closing.wait(0.02):
        handler.wfile.write(b"x")


def cut(handler: Handler) -> None:
    """Promise more bytes than are sent, and cut the connection."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "10000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [{"mess')
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def endless(code: int = 200) -> Fault:
    """Return a fault that is a reply without an end, as fast as it is read."""

    def send(handler: Handler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        while not handler.server.closing.is_set():
            handler.wfile.write(b" " * 65536)

    return send


@contextmanager
def judge_server(
    *, write: Write = rate, script: Sequence[Fault] = (), key: str | None = None, model: str = MODEL
) -> Iterator[LoopbackServer]:
    """Run the server in a thread while inside.

    Args:
        write: what the judge writes to a request.
        script: how the first requests are answered, in order; all later ones are answered well.
        key: the only key that is accepted; none accepts every request.
        model: the only model that it has.
    """
    server = LoopbackServer(write, script, key, model)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def loopback_judge(*, write: Write = rate, script: Sequence[Fault] = ()) -> Iterator[str]:
    """Run the server while inside, and yield its address, for `judge.url`."""
    with judge_server(write=write, script=script) as server:
        yield server.url
