"""Ask an engine whether it is well. Well means: it just generated a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

PROBE_S = 60.0


def probe(url: str, api_key: str, model: str, *, timeout_s: float = PROBE_S) -> str | None:
    """Let the engine generate one token; return ``None`` when it did, else why it did not."""
    import httpx

    try:
        with httpx.Client(base_url=url, timeout=timeout_s, trust_env=False) as client:
            if (status := client.get("/health", timeout=min(timeout_s, 10.0)).status_code) != 200:
                return f"GET /health gave status {status}"
            return _one_token(client, api_key, model)
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"


def _one_token(client: httpx.Client, api_key: str, model: str) -> str | None:
    reply = client.post(
        "/v1/chat/completions",
        headers={"Authorization": f"Bearer {api_key}"},
        json={"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]},
    )
    if reply.status_code != 200:
        return f"asking for one token gave status {reply.status_code}: {reply.text[:200]}"
    try:
        count = reply.json()["usage"]["completion_tokens"]
    except (ValueError, KeyError, TypeError):
        return f"asking for one token gave no usage: {reply.text[:200]}"
    return None if count >= 1 else "it answered without generating a token"
