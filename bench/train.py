#!/usr/bin/env python3
"""The load under which scripts/trained-build counts what the program does, so that what is done often is built to be quick:
chats and streams through the gateway above all, beside them refusals, lists, searches, the registry and pages.

Standard library only. BENCH_BINARY names the program that counts.
"""
import asyncio, json, random, threading, urllib.parse

from gateway import PATH, in_front_of
from house import ADMIN, WORDS, free_port, made_up_servers

CHATS, STREAMS, READS = 60_000, 3_000, 6_000
SERVERS = 2_000
AT_ONCE = 16


class Vendor:
    """Answers every chat with the same words, whole or as a hundred events."""

    WORDS = " ".join(WORDS[n % len(WORDS)] for n in range(100))
    USAGE = {"prompt_tokens": 120, "completion_tokens": 100, "total_tokens": 220}
    ABOUT = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": "gpt-4o"}

    def __init__(self):
        self.port, listening = free_port(), threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve(listening)), daemon=True).start()
        listening.wait()

    async def serve(self, listening):
        async with await asyncio.start_server(self.connection, "127.0.0.1", self.port) as server:
            listening.set()
            await server.serve_forever()

    async def connection(self, reader, writer):
        whole, events = self.whole(), self.events()
        try:
            while True:
                _, body = await message(reader)
                if json.loads(body)["stream"]:
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
                    for event in events:
                        writer.write(b"%x\r\n%s\r\n" % (len(event), event))
                        await asyncio.sleep(0)  # So that most come one by one.
                    writer.write(b"0\r\n\r\n")
                else:
                    writer.write(whole)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def whole(self):
        said = {"role": "assistant", "content": self.WORDS}
        body = json.dumps({**self.ABOUT, "object": "chat.completion", "usage": self.USAGE, "choices": [
            {"index": 0, "message": said, "finish_reason": "stop"}]}).encode()
        return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)

    def events(self):
        about = {**self.ABOUT, "object": "chat.completion.chunk"}
        for_each = [{**about, "choices": [{"index": 0, "delta": {"content": word + " "}, "finish_reason": None}]}
                    for word in self.WORDS.split()]
        ends = {**about, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        used = {**about, "choices": [], "usage": self.USAGE}
        return [b"data: %s\n\n" % json.dumps(event).encode() for event in (*for_each, ends, used)] + [b"data: [DONE]\n\n"]


async def message(reader):
    """The first line and the body of the next request or answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    line, *fields = head.decode().lower().strip().split("\r\n")
    fields = dict(field.split(": ", 1) for field in fields)
    if "content-length" in fields:
        return line, await reader.readexactly(int(fields["content-length"]))
    body = b""
    while fields.get("transfer-encoding") == "chunked":
        size = int((await reader.readline()).strip(), 16)
        body += await reader.readexactly(size)
        await reader.readexactly(2)
        if not size:
            break
    return line, body


def ask(method, path, body="", key=ADMIN):
    """A request in the bytes that are sent."""
    body = body.encode()
    return (f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\naccept-encoding: gzip\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n").encode() + body


def chat(dice, stream=False):
    """A prompt as long as it comes: most are short, some long, and some come with instructions and tools."""
    words = " ".join(dice.choice(WORDS) for _ in range(dice.choice((8, 30, 110, 110, 400))))
    if dice.random() < 0.002:
        # What somebody pasted that has no spaces: its tokens are put together bit by bit.
        words += " " + "".join(dice.choice(WORDS) for _ in range(2_000))
    messages = [{"role": "user", "content": words}]
    if dice.random() < 0.4:
        messages.insert(0, {"role": "system", "content": "Answer in one sentence, and say what you do not know."})
    body = {"model": "gpt-4o", "stream": stream, "max_tokens": 200, "messages": messages}
    if dice.random() < 0.1:
        city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
        body["tools"] = [{"type": "function", "function": {"name": "get_forecast", "description": "Weather", "parameters": city}}]
    if stream and dice.random() < 0.5:
        body["stream_options"] = {"include_usage": True}
    return json.dumps(body)


def reads(dice, names):
    """What is read of the register, by programs and by people."""
    name = urllib.parse.quote(dice.choice(names), safe="")
    words = "+".join(dice.choice(WORDS) for _ in range(dice.randint(1, 4)))
    return ask("GET", dice.choice((
        "/api/v1/assets?limit=30", f"/api/v1/search?limit=10&q={words}", f"/api/v1/search?limit=10&q={words}",
        "/v0.1/servers?limit=30&version=latest", f"/v0.1/servers/{name}/versions/latest", "/", f"/browse?q={words}")))


async def load(port, requests):
    """Sends these over a few connections, and tells what was answered how often."""
    waiting, counts = iter(requests), {}

    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in waiting:
            writer.write(request)
            status = (await message(reader))[0].split()[1]
            counts[status] = counts.get(status, 0) + 1
        writer.close()

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    return counts


def train():
    service, dice, path = in_front_of(Vendor()), random.Random(1), "/llm/v1" + PATH
    lines = service.data / "servers.jsonl"
    made_up_servers(lines, SERVERS, 2 * SERVERS)
    service.import_lines(lines)
    names = [json.loads(line)["name"] for line in open(lines)]
    for what, requests, wanted in (
            ("chats", (ask("POST", path, chat(dice)) for _ in range(CHATS)), "200"),
            ("streams", (ask("POST", path, chat(dice, stream=True)) for _ in range(STREAMS)), "200"),
            ("requests with a key that is none", (ask("POST", path, chat(dice), "whf_none") for _ in range(1_000)), "401"),
            ("reads", (reads(dice, names) for _ in range(READS)), "200")):
        counts = asyncio.run(load(service.port, requests))
        print(f"{what}: {counts}", flush=True)
        if set(counts) != {wanted}:
            raise SystemExit(f"{what} were to be answered with {wanted}")
    service.stop()


if __name__ == "__main__":
    train()
