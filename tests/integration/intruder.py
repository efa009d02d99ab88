"""What a local user or a web page would try on MLflow, byte by byte: no client tidies the request up first."""

import base64
import json
import socket
from itertools import chain

ASSISTANT = "/ajax-api/3.0/mlflow/assistant"
# The way that was found: point the Assistant at a model of one's own, allow it everything, have it run a command.
TAKE_OVER = {
    "providers": {"ollama": {"base_url": "http://127.0.0.1:9", "permissions": {"full_access": True}}},
    "message": "run id",
}
DOORS = [
    ("GET", f"{ASSISTANT}/config"),
    ("PUT", f"{ASSISTANT}/config"),
    ("POST", f"{ASSISTANT}/message"),
    ("GET", f"{ASSISTANT}/sessions/1/stream"),
    ("GET", f"{ASSISTANT}/providers"),
    ("POST", f"{ASSISTANT}/skills/install"),
    ("POST", "/ajax-api/3.0/jobs/"),
    ("POST", "/ajax-api/3.0/jobs/search"),
    ("POST", "/gateway/proxy/x/v1"),
    ("POST", "/gateway/mlflow/v1/chat/completions"),
    ("GET", "/ajax-api/2.0/mlflow/gateway-proxy?gateway_path=api/2.0/endpoints/"),
    ("POST", "/api/3.0/mlflow/gateway/secrets/create"),
    ("POST", "/api/3.0/mlflow/mcp-servers"),
    ("GET", "/api/3.0/mlflow/mcp-servers"),
    ("POST", "/api/2.0/mlflow/webhooks"),
    ("GET", "/api/2.0/mlflow/webhooks"),
    ("POST", "/api/3.0/mlflow/scorers/register"),
    ("POST", "/ajax-api/3.0/mlflow/scorer/invoke"),
    ("POST", "/api/3.0/mlflow/prompt-optimization/jobs"),
    ("POST", "/ajax-api/3.0/mlflow/demo/generate"),
    ("POST", "/v1/traces"),
    ("POST", "/api/2.0/mlflow/experiments/delete"),
    ("DELETE", "/api/2.0/mlflow/registered-models/delete"),
    ("DELETE", "/api/2.0/mlflow-artifacts/artifacts/1/a/artifacts/model/model.skops"),
    ("POST", "/api/2.0/mlflow/users/create"),
    ("GET", "/signup"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
]


def written_otherwise(path: str) -> list[str]:
    """Return other ways to write a path, some of which some server takes for the same."""
    encoded = "".join(f"%{ord(c):02x}" if c == "s" else c for c in path)
    return [
        path + "/",
        "/" + path,
        "/." + path,
        "/x/.." + path,
        "/static-files/.." + path,
        "/static-files/%2e%2e" + path,
        path.replace("/", "//"),
        path.replace("/mlflow", "/%6dlflow"),
        path.replace("/assistant", "%2fassistant"),
        path.replace("/assistant", "/Assistant"),
        path.upper(),
        encoded,
        path + "%00",
        path + ";x=1",
        path + "%0a",
        path + "?a=/health",
        "http://evil.example" + path,
    ]


def attacks() -> list[tuple[str, str]]:
    """Return method and target of each request."""
    ways = [(method, way) for way in written_otherwise(f"{ASSISTANT}/config") for method in ("GET", "PUT")]
    others = [(method, f"{ASSISTANT}/config") for method in ("HEAD", "OPTIONS", "PATCH", "TRACE", "FOO")]
    return list(chain(DOORS, ways, others))


def send(
    port: int, method: str, target: str, *, login: str | None = None, body: object = TAKE_OVER, **headers: str
) -> tuple[int, str]:
    """Return status and text of one request, written as it stands. ``login``: ``user:password``."""
    content = json.dumps(body).encode()
    lines = {"Host": f"localhost:{port}", "Content-Type": "application/json", "Connection": "close"}
    lines |= {"Content-Length": str(len(content))} | {
        key.replace("_", "-"): value for key, value in headers.items()
    }
    if login:
        lines["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    head = "".join(f"{key}: {value}\r\n" for key, value in lines.items())
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + content)
        # Who asks for another protocol is not told by a closed connection that this was all.
        answer = connection.recv(65536) if "Upgrade" in headers else b""
        answer = answer or b"".join(iter(lambda: connection.recv(65536), b""))
    status, _, text = answer.partition(b"\r\n")
    return int(status.split()[1]), text.decode(errors="replace")


def opened(port: int, login: str | None) -> list[str]:
    """Return the attacks that got anything but a refusal."""
    got = {f"{method} {target}": send(port, method, target, login=login) for method, target in attacks()}
    upgrade = {"Upgrade": "websocket", "Sec_WebSocket_Version": "13", "Sec_WebSocket_Key": "a" * 22 + "=="}
    stream = f"{ASSISTANT}/sessions/1/stream"
    got["websocket"] = send(port, "GET", stream, login=login, **upgrade | {"Connection": "Upgrade"})
    # 400: a request that no server can read.
    return [
        f"{what}: {status}" for what, (status, _) in got.items() if status not in {400, 401, 403, 404, 405}
    ]
