"""The gateway: CPU against nginx, memory of open streams and of counters, many requests, counting of prompts."""
import asyncio, json, os, random, shutil, subprocess, tempfile, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from house import ADMIN, BINARY, ROOT, WORDS, Service, family_cpu, family_memory, free_port, processors, say

SETTINGS = """
backends:
  - {{name: mock, provider: compatible, url: "http://127.0.0.1:{port}/v1"}}
pools:
  - {{name: mock, members: [{{backend: mock}}]}}
policies:
  - name: tokens
    reach: all
    rule: {{tokenLimit: {{counterKey: "{key}", tokensPerMinute: 4000000000, requestsPerMinute: 4000000000}}}}
routes:
  - {{name: mock, serves: {{models: [gpt-4o]}}, pool: mock, callers: everyone}}
"""
PATH = "/chat/completions"


class Vendor:
    """The mock vendor, and beside it nginx with `proxy_pass`, a check of the key and kept connections: the peer."""

    def __init__(self, seconds=900):
        self.port, self.nginx_port = free_port(), free_port()
        self.mock = subprocess.Popen([example("mock_vendor"), str(self.port), str(seconds)])
        self.home = Path(tempfile.mkdtemp(prefix="whf-nginx-", dir="/tmp"))
        os.chmod(self.home, 0o755)
        (self.home / "nginx.conf").write_text(
            f"worker_processes 2; daemon off; pid {self.home}/pid; error_log {self.home}/error.log;\n"
            "worker_rlimit_nofile 60000; events { worker_connections 30000; }\n"
            "http { access_log off; keepalive_requests 1000000000; map_hash_bucket_size 128;\n"
            f' map $http_authorization $known {{ default 0; "Bearer {ADMIN}" 1; }}\n'
            f" upstream mock {{ server 127.0.0.1:{self.port}; keepalive 64; keepalive_requests 1000000000; }}\n"
            f" server {{ listen 127.0.0.1:{self.nginx_port} backlog=16384; location / {{ if ($known = 0) {{ return 401; }}\n"
            '  proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } } }\n')
        self.nginx = subprocess.Popen(["nginx", "-c", self.home / "nginx.conf"], stderr=subprocess.DEVNULL)
        time.sleep(0.5)

    def stop(self):
        self.nginx.terminate()
        self.mock.terminate()
        self.nginx.wait()
        self.mock.wait()
        shutil.rmtree(self.home, ignore_errors=True)


def example(name):
    return ROOT / "target/release/examples" / name


def in_front_of(vendor, key="{key}"):
    """The program with a route to the vendor, a limit that counts every prompt, the ledger and metrics."""
    service = Service(model=False)
    service.env["WHARFINGER_GATEWAY_ALLOWED_HOSTS"] = "127.0.0.1"
    service.start()
    settings = service.data / "gateway.yaml"
    settings.write_text(SETTINGS.format(port=vendor.port, key=key))
    subprocess.run([BINARY, "apply", "-f", settings, "--yes"], env=service.env, check=True, stdout=subprocess.DEVNULL)
    time.sleep(1.5)
    return service


def chat(stream=False, **more):
    words = " ".join(random.Random(5).choice(WORDS) for _ in range(110))
    body = {"model": "gpt-4o", "stream": stream, "max_tokens": 200, "messages": [{"role": "user", "content": words}], **more}
    if stream:  # What the gateway would ask for is asked by both, so that both pass on the same bytes.
        body["stream_options"] = {"include_usage": True}
    return json.dumps(body, separators=(",", ":"))


def post(url, body, seconds, connections=32):
    """Requests answered in about so many seconds, how many were not, and the latencies p50 and p99 in ms."""
    script = tempfile.NamedTemporaryFile("w", suffix=".lua", delete=False)
    script.write(f"wrk.method='POST' wrk.body={json.dumps(body)}\n"
                 f"wrk.headers['Authorization']='Bearer {ADMIN}' wrk.headers['Content-Type']='application/json'\n"
                 "done=function(s,l,r) io.write(string.format('RESULT %d %d %f %f\\n',s.requests,"
                 "s.errors.status+s.errors.connect+s.errors.read+s.errors.timeout,l:percentile(50)/1000,l:percentile(99)/1000)) end\n")
    script.close()
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script.name, url],
                         capture_output=True, text=True, check=True).stdout
    os.unlink(script.name)
    done, errors, p50, p99 = next(line for line in out.splitlines() if line.startswith("RESULT")).split()[1:]
    return int(done), int(errors), float(p50), float(p99)


def paced(port, path, body, rate, seconds=8, connections=16):
    """The latencies p50 and p99 in ms at a fixed rate."""
    file = tempfile.NamedTemporaryFile("w", suffix=".json", delete=False)
    file.write(body)
    file.close()
    out = subprocess.run([example("paced_load"), f"127.0.0.1:{port}", path, file.name, ADMIN, str(rate), str(connections),
                          str(seconds)], capture_output=True, text=True, check=True).stdout
    os.unlink(file.name)
    done, errors, p50, p99 = out.split()
    return int(done), int(errors), float(p50), float(p99)


def highest(bearable):
    """The highest rate, in thousands of requests a second, that is bearable as every lower one is."""
    rate = 1_000
    while bearable(rate + 1_000):
        rate += 1_000
    return rate


def half_busy(port, path, body):
    """The highest rate that leaves the processors idle for half of the time, with all that takes part on them."""
    def bearable(rate):
        before = processors()
        _, errors, _, _ = paced(port, path, body, rate, seconds=3)
        used, all_time = (after - at for after, at in zip(processors(), before))
        return not errors and used <= all_time / 2
    return highest(bearable)


def half_of_the_most(port, path, body):
    """Half of the highest rate at which requests do not pile up when they come one by one."""
    def bearable(rate):
        _, errors, p50, _ = paced(port, path, body, rate, seconds=2)
        return not errors and p50 < 5
    return highest(bearable) // 2


def middle(figures):
    figures = sorted(figures)
    return figures[len(figures) // 2]


def gateway():
    vendor = Vendor()
    service = in_front_of(vendor)
    for what, stream, bar in (("1 KiB chat", False, 2.2), ("100-event stream", True, 2.5)):
        body, ratios, figures = chat(stream), [], {}
        peers = (("nginx", f"http://127.0.0.1:{vendor.nginx_port}/v1", vendor.nginx.pid),
                 ("ours", f"{service.url}/llm/v1", service.process.pid))
        for _, base, _ in peers:
            post(base + PATH, body, 2)
        for _ in range(3):  # In turn, so that what else the machine does meets both.
            for name, base, pid in peers:
                before = family_cpu(pid) if name == "nginx" else service.cpu()
                done, errors, p50, p99 = post(base + PATH, body, 4)
                used = (family_cpu(pid) if name == "nginx" else service.cpu()) - before
                figures[name] = used / max(done, 1) * 1000
                say(f"{what}, {name}", f"{figures[name]:.4f} ms", f"of CPU; {done / 4:,.0f}/s, p50 {p50:.2f} ms, p99 {p99:.2f} ms, {errors} errors")
            ratios.append(figures["ours"] / figures["nginx"])
        say(f"{what}, CPU against nginx", f"{middle(ratios):.2f} x", f"middle of {', '.join(f'{r:.2f}' for r in ratios)}; goal: at most {bar}")
    body = chat()
    door = (service.port, "/llm/v1" + PATH, body)
    for when, rate in (("processors half busy", half_busy(*door)), ("half of the most", half_of_the_most(*door))):
        added_latency(vendor, service, body, rate, when)
    say("", "", "goal: at most 0.15 and 1 ms added while the processors are half busy")
    service.stop()
    vendor.stop()


def added_latency(vendor, service, body, rate, when):
    asked = {"the mock itself": (vendor.port, "/v1"), "through nginx": (vendor.nginx_port, "/v1"), "through us": (service.port, "/llm/v1")}
    turns = {name: [] for name in asked}
    for _ in range(5):  # In turn, so that what else the machine does meets all.
        for name, (port, base) in asked.items():
            turns[name].append(paced(port, base + PATH, body, rate, seconds=5))
    for name, each in turns.items():
        errors = sum(errors for _, errors, _, _ in each)
        (p50, add50), (p99, add99) = (
            (middle(latencies[at] for latencies in each),
             middle(latencies[at] - alone[at] for latencies, alone in zip(each, turns["the mock itself"]))) for at in (2, 3))
        all99 = ", ".join(f"{latencies[3]:.2f}" for latencies in each)
        say(f"latency, {when}, {name}", f"{p50:.3f} ms", f"{rate:,}/s; p99 {p99:.3f} ms ({all99}), {errors} errors; added: p50 {add50:.3f}, p99 {add99:.3f}")


async def health(port, until):
    """How long `/healthz` and `/readyz` took, asked ten times a second, in ms."""
    took = []
    while time.monotonic() < until:
        for path in ("/healthz", "/readyz"):
            begun = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode())
            if b" 200 " not in await reader.read():
                raise SystemExit(f"{path} was not well")
            writer.close()
            took.append((time.monotonic() - begun) * 1e3)
        await asyncio.sleep(0.1)
    return took


def overload(connections=2_000):
    """Far more at once than can be served: what is served all the same, and whether health is still told."""
    vendor = Vendor()
    service = in_front_of(vendor)
    body, url = chat(), f"{service.url}/llm/v1{PATH}"
    post(url, body, 2)
    most = middle(post(url, body, 4)[0] for _ in range(3))
    before, told, turns = service.memory(), [], []
    for _ in range(3):
        asking = ThreadPoolExecutor(1).submit(lambda: asyncio.run(health(service.port, time.monotonic() + 4)))
        turns.append(post(url, body, 4, connections=connections))
        told += asking.result()
    served, errors = middle(turn[0] for turn in turns), sum(turn[1] for turn in turns)
    say(f"{connections:,} at once against 32", f"{served / most:.2f}", f"of the requests served, {errors} errors; goal: at least 0.9; {service.memory() - before:.0f} MB more")
    say("health meanwhile", f"{sorted(told)[len(told) * 99 // 100]:.0f} ms", f"p99, at the most {max(told):.0f}; goal: below 100")
    service.stop()
    vendor.stop()


async def open_streams(port, path, count, hold):
    """Opens streams, calls `hold` when each has given its first event, and closes them."""
    body = chat(stream=True, user="hold").encode()
    head = (f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {ADMIN}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n").encode()
    open_now, gate = [], asyncio.Semaphore(100)

    async def one():
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head + body)
            await reader.readuntil(b"data: ")
            open_now.append(writer)

    outcomes = await asyncio.gather(*(one() for _ in range(count)), return_exceptions=True)
    failed = [outcome for outcome in outcomes if outcome is not None]
    held = hold()
    for writer in open_now:
        writer.transport.abort()
    return len(open_now), failed, held


def streams(count=9_500):
    vendor = Vendor()
    service = in_front_of(vendor)
    for name, port, path, memory in (
            ("nginx", vendor.nginx_port, "/v1" + PATH, lambda: family_memory(vendor.nginx.pid)),
            ("ours", service.port, "/llm/v1" + PATH, service.memory)):
        asyncio.run(open_streams(port, path, 50, memory))
        time.sleep(1)
        before = memory()
        opened, failed, held = asyncio.run(open_streams(port, path, count, memory))
        each = (held - before) * 1024 / max(opened, 1)
        note = f"{opened:,} open, {len(failed)} failed{': ' + repr(failed[0]) if failed else ''}; {held - before:.0f} MB"
        say(f"memory of an open stream, {name}", f"{each:.1f} KiB", note + "; goal: at most 20" * (name == "ours"))
        time.sleep(2)
    service.stop()
    vendor.stop()


def steady(requests=1_000_000):
    vendor = Vendor()
    fresh = Service(model=False)
    fresh.start()
    catalog = fresh.memory()
    fresh.stop()
    service = in_front_of(vendor)
    body, done, seen = chat(), 0, []
    while done < requests:
        answered, errors, _, _ = post(f"{service.url}/llm/v1{PATH}", body, 10)
        done += answered
        seen.append((done, service.memory()))
        if errors or not answered:
            say("requests that failed", f"{errors}", "")
            break
    say("memory of an idle start", f"{catalog:.0f} MB", "")
    early = next((memory for at, memory in seen if at >= requests * 0.2), seen[0][1])
    say(f"memory after {seen[-1][0]:,} requests", f"{seen[-1][1]:.0f} MB", f"after a fifth of them {early:.0f} MB; above an idle start {seen[-1][1] - catalog:.0f} MB, goal: at most 60")
    service.stop()
    vendor.stop()


def counters(keys=10_000):
    vendor = Vendor()
    service = in_front_of(vendor, key="{header:x-team}")
    body = chat().encode()

    async def call(first, many):
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        for n in range(first, first + many):
            writer.write((f"POST /llm/v1{PATH} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {ADMIN}\r\nx-team: team-{n}\r\n"
                          f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n").encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in answer.split(b"\r\n")[0] + b" ":
                raise SystemExit(answer.decode())
            length = int(next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length")).split(b":")[1])
            await reader.readexactly(length)
        writer.close()

    async def teams(first, many, at_once=8):
        await asyncio.gather(*(call(first + n * many // at_once, many // at_once) for n in range(at_once)))

    for _ in range(3):  # What any requests take is there before the counting.
        asyncio.run(teams(0, 1_000))
    before = service.memory()
    asyncio.run(teams(100_000, keys))
    grown = service.memory() - before
    asyncio.run(teams(100_000, keys))
    again = service.memory() - before - grown
    say(f"memory of {keys:,} counter keys", f"{grown:.1f} MB", f"the same keys again {again:+.1f} MB; goal: at most 5")
    service.stop()
    vendor.stop()
    out = subprocess.run([example("count_prompts")], capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        what, figure, note = line.split("\t")
        say(what, figure, note)
