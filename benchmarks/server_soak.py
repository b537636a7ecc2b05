"""Does a server stay as it was? Mixed requests, some of which leave in the middle; memory, places and streams after it.

    python benchmarks/server_soak.py [MODEL.gguf] [--requests 1000] [--clients 12]

Without a model the bundled one is converted. Prints a line per fifth of the requests, and what became of them. The exit
code is 1 where a place stays taken, a stream lacks its last event, or memory has grown by more than 2 %.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

ENDLESS = {
    "prompt": "你好",
    "max_tokens": 10**6,
    "overflow": "slide",
    "logit_bias": {"2": -100},
}
MOST_GROWTH = 0.02
WARM_UP = 500  # requests before the first look at the memory


class Soak:
    """Sends requests of all kinds, and counts how they end."""

    def __init__(self, client: httpx.AsyncClient, model: str) -> None:
        self._client = client
        self._model = model
        self._random = random.Random(1)
        self.ends: Counter[str] = Counter()

    async def one(self) -> None:
        """A request of a random kind."""
        kinds = (
            self.whole,
            self.stream,
            self.scored,
            self.lines,
            self.refused,
            self.tokens,
            self.leaves,
            self.drops,
        )
        kind = self._random.choice(kinds)
        try:
            end = await kind()
        except httpx.HTTPError as error:
            end = type(error).__name__
        self.ends[f"{kind.__name__}: {end}"] += 1

    def _chat(self, **more: Any) -> dict[str, Any]:
        question = "12加30等于多少？" * self._random.randint(1, 5)
        return {
            "messages": [{"role": "user", "content": question}],
            "max_tokens": self._random.randint(1, 60),
            **more,
        }

    async def _status(self, path: str, body: dict[str, Any]) -> str:
        return str((await self._client.post(path, json=body)).status_code)

    async def whole(self) -> str:
        return await self._status("/v1/chat/completions", self._chat(n=self._random.randint(1, 3)))

    async def scored(self) -> str:
        body = {"prompt": "你好今天" * 10, "max_tokens": 0, "echo": True, "logprobs": 2}
        return await self._status("/v1/completions", body)

    async def refused(self) -> str:
        return await self._status("/v1/chat/completions", self._chat(temperature=-1))

    async def tokens(self) -> str:
        return await self._status("/tokenize", {"content": "你好" * 50})

    async def stream(self) -> str:
        body = self._chat(stream=True, logprobs=True, top_logprobs=3)
        content = (await self._client.post("/v1/chat/completions", json=body)).content
        return "complete" if content.endswith(b"data: [DONE]\n\n") else "CUT"

    async def lines(self) -> str:
        body = {"model": self._model, "prompt": "12加30等于多少？", "options": {"num_predict": 30}}
        content = (await self._client.post("/api/generate", json=body)).text
        return "complete" if '"done":true' in content.splitlines()[-1] else "CUT"

    async def leaves(self) -> str:
        """In the middle of a stream."""
        n_more = self._random.randint(1, 20)
        async with self._client.stream(
            "POST", "/v1/completions", json={**ENDLESS, "stream": True}
        ) as response:
            async for _ in response.aiter_bytes():
                n_more -= 1
                if n_more == 0:
                    return "left"
        return "CUT"

    async def drops(self) -> str:
        """While it waits for an answer in one piece."""
        try:
            timeout = self._random.random() * 0.3
            await self._client.post("/v1/completions", json=ENDLESS, timeout=timeout)
        except httpx.TimeoutException:
            return "left"
        return "CUT"


async def run(url: str, pid: int, n_requests: int, n_clients: int) -> bool:
    """Whether all is as it should be."""
    limits = httpx.Limits(max_connections=n_clients)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        model = (await client.get("/v1/models")).json()["data"][0]["id"]
        soak = Soak(client, model)
        await _many(soak, WARM_UP, n_clients)
        first = rss_kb(pid)
        print(f"{'requests':>9} {'RSS MiB':>9} {'open':>5} {'files':>6}")
        open_now = 0.0
        for part in range(6):
            if part:
                await _many(soak, n_requests // 5, n_clients)
            await asyncio.sleep(1)
            open_now = await requests_open(client)
            row = f"{part * n_requests // 5:>9} {rss_kb(pid) / 1024:>9.1f} {open_now:>5.0f}"
            print(f"{row} {len(os.listdir(f'/proc/{pid}/fd')):>6}", flush=True)
    growth = rss_kb(pid) / first - 1
    for end, number in sorted(soak.ends.items()):
        print(f"{number:>6}  {end}")
    print(f"memory grew by {growth:.2%}")
    return open_now == 0 and growth <= MOST_GROWTH and not any("CUT" in end for end in soak.ends)


async def _many(soak: Soak, number: int, n_clients: int) -> None:
    places = asyncio.Semaphore(n_clients)

    async def placed() -> None:
        async with places:
            await soak.one()

    await asyncio.gather(*(placed() for _ in range(number)))


async def requests_open(client: httpx.AsyncClient) -> float:
    found = re.search(r"^belle_requests_open (\S+)$", (await client.get("/metrics")).text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def rss_kb(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    assert found is not None
    return int(found[1])


def bundled_model(folder: Path) -> Path:
    from belle_edge.convert import convert
    from belle_edge.demo import checkpoint_path

    path = folder / "demo.gguf"
    convert(checkpoint_path(), path, type="q4_0", family="belle")
    return path


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=12)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = args.model or bundled_model(Path(folder))
        command = [sys.executable, "-m", "belle_edge.cli.main", "serve", str(model), "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as server:
            assert server.stdout is not None
            try:
                url = server.stdout.readline().split()[-1]
                sound = asyncio.run(run(url, server.pid, args.requests, args.clients))
            finally:
                server.terminate()
        print(f"exit code of the server: {server.returncode}")
        return 0 if sound and server.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
