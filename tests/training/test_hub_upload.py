"""Uploading an export: huggingface_hub's own client against a local server that answers as the Hub does."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
from pytest_httpserver import HTTPServer
from safetensors.numpy import save_file
from werkzeug import Request, Response

from balora.cli.main import main
from balora.errors import OutputError
from balora.training.hub_upload import upload

CARD = "---\nlibrary_name: peft\n---\n\n# tuned\n"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "README.md").write_text(CARD)
    (folder / "adapter_config.json").write_text("{}")
    save_file({"a.lora_A.weight": np.ones((1, 2), np.float32)}, folder / "adapter_model.safetensors")
    for name in ("notes.secret", "credentials.json", "diary.txt"):
        (folder / name).write_text("not for others")
    return folder


class Hub:
    """A server with the four routes that a small commit takes; it keeps what was committed."""

    def __init__(self, server: HTTPServer) -> None:
        self.created: list[dict[str, object]] = []
        self.committed: dict[str, bytes] = {}
        self.tokens: set[str | None] = set()
        server.expect_request("/api/repos/create").respond_with_handler(self._create)
        server.expect_request("/api/validate-yaml").respond_with_json({"errors": [], "warnings": []})
        server.expect_request("/api/models/me/tuned/preupload/main").respond_with_handler(self._preupload)
        server.expect_request("/api/models/me/tuned/commit/main").respond_with_handler(self._commit)
        self.url = server.url_for("").rstrip("/")

    def _create(self, request: Request) -> Response:
        self.tokens.add(request.headers.get("authorization"))
        self.created.append(request.get_json())
        return _answer({"url": f"{self.url}/me/tuned"})

    def _preupload(self, request: Request) -> Response:
        files = [
            {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in request.get_json()["files"]
        ]
        return _answer({"files": files})

    def _commit(self, request: Request) -> Response:
        lines = [json.loads(line) for line in request.get_data().splitlines()]
        for line in lines:
            if line["key"] == "file":
                self.committed[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        return _answer({"success": True, "commitOid": "c0de", "commitUrl": f"{self.url}/me/tuned/commit/c0de"})


def _answer(content: object) -> Response:
    return Response(json.dumps(content), content_type="application/json")


@pytest.fixture
def hub(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    found = Hub(httpserver)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", found.url)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    huggingface_hub.close_session()
    yield found
    huggingface_hub.close_session()


def test_the_export_and_nothing_else_arrives(hub: Hub, export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", str(export), "me/tuned"]) == 0
    assert capsys.readouterr().out == f"uploaded to {hub.url}/me/tuned\n"
    assert set(hub.committed) == {"README.md", "adapter_config.json", "adapter_model.safetensors"}
    assert all(hub.committed[name] == (export / name).read_bytes() for name in hub.committed)
    assert hub.tokens == {"Bearer hf_secret"}
    assert [(one["name"], one["organization"], one["visibility"]) for one in hub.created] == [
        ("tuned", "me", "private")
    ]


def test_a_new_repository_is_public_only_if_asked(hub: Hub, export: Path) -> None:
    upload(export, "me/tuned", public=True, message="m")
    assert [one["visibility"] for one in hub.created] == ["public"]


def test_what_the_hub_refuses_is_one_line(httpserver: HTTPServer, hub: Hub, export: Path) -> None:
    httpserver.clear()
    httpserver.expect_request("/api/repos/create").respond_with_json({"error": "no such user"}, status=403)
    with pytest.raises(
        OutputError, match=r"^me/tuned on http://[^ ]+: the upload failed \(.*\): check the token and the name$"
    ):
        upload(export, "me/tuned", message="m")


@pytest.mark.parametrize(
    ("name", "missing", "line"),
    [
        ("tuned", None, "'tuned' is no name of a repository: give OWNER/NAME"),
        ("me/two words", None, "'me/two words' is no name of a repository: "),
        ("me/tuned", "README.md", "has no model card (README.md): export it with --card"),
        (
            "me/tuned",
            "adapter_model.safetensors",
            "holds no model or adapter (*.safetensors): pass what `balora export` wrote",
        ),
    ],
)
def test_what_is_no_export_is_refused_before_anything_is_sent(
    hub: Hub, export: Path, name: str, missing: str | None, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if missing:
        (export / missing).unlink()
    assert main(["push", str(export), name]) == 2
    assert line in (error := capsys.readouterr().err)
    assert error.count("\n") == 1
    assert hub.created == []


def test_a_card_that_cannot_be_read_is_refused(hub: Hub, export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (export / "README.md").write_text("---\nlicense: [\n---\n")
    assert main(["push", str(export), "me/tuned"]) == 2
    assert "its metadata cannot be read" in capsys.readouterr().err


def test_offline_means_offline(
    export: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert main(["push", str(export), "me/tuned"]) == 2
    assert capsys.readouterr().err == ("balora: error: HF_HUB_OFFLINE is set, so nothing can be uploaded: unset it\n")
