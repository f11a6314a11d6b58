#!/usr/bin/env python3
"""Measures the release build against the figures the project promises; standard library, wrk and nginx only.

    bench/bench.py [registry] [search] [import] [start] [gateway]        all five when none is named

Each part starts the program with a data folder of its own, on loopback, for a bounded time. Where a peer is at hand the
figure is a ratio taken in the same run. Real data is taken from the folder WHARFINGER_SHARED (or ../shared) when it is
there; else servers are made up, of like size.
"""
import json, os, random, shutil, socket, statistics, subprocess, sys, tempfile, time, urllib.parse, urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BINARY = Path(os.environ.get("BENCH_BINARY", ROOT / "target/release/wharfinger"))
SHARED = Path(os.environ.get("WHARFINGER_SHARED", ROOT.parent / "shared"))
ADMIN = "whf_" + "bench" * 9
SERVERS, VERSIONS = 24_000, 79_945
WORDS = ("payment refund invoice ticket weather forecast calendar message search document image audio translate "
         "deploy cluster metric alert customer order stock shipment route map flight hotel booking contract").split()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ours():
    """The environment without settings of the program, which refuses those it does not know."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WHARFINGER_")}


class Service:
    """The program, running on a data folder of its own."""

    def __init__(self, model=True, data=None):
        self.data = Path(data or tempfile.mkdtemp(prefix="whf-bench-", dir="/tmp"))
        os.chmod(self.data, 0o755)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = dict(ours(), WHARFINGER_LISTEN=f"127.0.0.1:{self.port}", WHARFINGER_DATA_DIR=str(self.data),
                        WHARFINGER_ADMIN_KEY=ADMIN, WHARFINGER_LOG="warn", WHARFINGER_URL=self.url, WHARFINGER_KEY=ADMIN,
                        WHARFINGER_MAX_CONNECTIONS_PER_IP="4096")
        if model and model_dir():
            self.env["WHARFINGER_MODEL_DIR"] = str(model_dir())
        elif not model:
            self.env["WHARFINGER_MODEL_DIR"] = "/nonexistent"

    def start(self):
        began = time.perf_counter()
        self.process = subprocess.Popen([BINARY, "serve"], env=self.env, stdout=subprocess.DEVNULL,
                                        stderr=open(self.data / "log", "ab"))
        while True:
            try:
                if self.get("/readyz")["status"] in ("ok", "ready", "degraded"):
                    return time.perf_counter() - began
            except Exception:
                if self.process.poll() is not None:
                    raise SystemExit((self.data / "log").read_text()[-3000:])
            if time.perf_counter() - began > 120:
                raise SystemExit("not ready after two minutes")
            time.sleep(0.02)

    def get(self, path):
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {ADMIN}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def import_lines(self, path):
        began = time.perf_counter()
        request = urllib.request.Request(f"{self.url}/api/v1/import", Path(path).read_bytes(), method="POST", headers={
            "Authorization": f"Bearer {ADMIN}", "Content-Type": "application/x-ndjson"})
        with urllib.request.urlopen(request, timeout=900) as answer:
            counts = json.load(answer)
        return counts, time.perf_counter() - began

    def cpu(self):
        """Seconds of CPU the program has used; without its Postgres."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Resident megabytes of the program; without its Postgres."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024

    def settle(self, key="pending", at_most=900):
        began = time.perf_counter()
        while time.perf_counter() - began < at_most:
            if not self.get("/readyz")["search"][key]:
                return time.perf_counter() - began
            time.sleep(0.5)
        return None

    def stop(self, keep=False):
        self.process.terminate()
        self.process.wait(60)
        if not keep:
            shutil.rmtree(self.data, ignore_errors=True)


def model_dir():
    for folder in (os.environ.get("WHARFINGER_MODEL_DIR"), "/var/lib/wharfinger/models/all-MiniLM-L6-v2",
                   Path.home() / ".local/share/wharfinger/models/all-MiniLM-L6-v2"):
        if folder and (Path(folder) / "model.onnx").is_file():
            return Path(folder)
    return None


def wrk(url, paths=None, seconds=8, connections=16):
    """Requests a second and the 99th percentile in milliseconds; `paths` are asked for in turn."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url]
    if paths:
        script = tempfile.NamedTemporaryFile("w", suffix=".lua", delete=False)
        listed = ",".join(json.dumps(path) for path in paths)
        script.write(f"local p={{{listed}}} local i=0\nrequest=function() i=i%#p+1 return wrk.format('GET',p[i]) end\n"
                     "done=function(s,l,r) io.write(string.format('RESULT %f %f %d\\n',s.requests/s.duration*1e6,"
                     "l:percentile(99)/1000,s.errors.status+s.errors.connect+s.errors.read+s.errors.timeout)) end\n")
    else:
        script = tempfile.NamedTemporaryFile("w", suffix=".lua", delete=False)
        script.write("done=function(s,l,r) io.write(string.format('RESULT %f %f %d\\n',s.requests/s.duration*1e6,"
                     "l:percentile(99)/1000,s.errors.status+s.errors.connect+s.errors.read+s.errors.timeout)) end\n")
    script.close()
    out = subprocess.run(command[:-1] + ["-s", script.name, url], capture_output=True, text=True, check=True).stdout
    os.unlink(script.name)
    rate, p99, errors = next(line for line in out.splitlines() if line.startswith("RESULT")).split()[1:]
    return float(rate), float(p99), int(errors)


class Nginx:
    """nginx serving files, as the peer."""

    def __init__(self, files):
        self.home = Path(tempfile.mkdtemp(prefix="whf-nginx-", dir="/tmp"))
        os.chmod(self.home, 0o755)
        for name, content in files.items():
            (self.home / name).write_bytes(content)
        self.port = free_port()
        (self.home / "nginx.conf").write_text(
            f"worker_processes 2; daemon off; pid {self.home}/pid; error_log {self.home}/error.log;\n"
            "events { worker_connections 1024; }\n"
            f"http {{ access_log off; default_type application/json; keepalive_requests 1000000; sendfile on;\n"
            f" open_file_cache max=100; server {{ listen 127.0.0.1:{self.port}; root {self.home}; }} }}\n")
        self.process = subprocess.Popen(["nginx", "-c", self.home / "nginx.conf"], stderr=subprocess.DEVNULL)
        time.sleep(0.5)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)


def made_up_servers(path, servers, versions):
    """Import lines of `versions` versions of `servers` servers."""
    dice = random.Random(7)
    counts = [1] * servers
    for _ in range(versions - servers):
        counts[int(servers * dice.random() ** 2)] += 1
    with open(path, "w") as out:
        for n, count in enumerate(counts):
            name = f"io.example.{dice.choice(WORDS)}{n % 977}/{dice.choice(WORDS)}-{n}"
            for version in range(count):
                text = " ".join(dice.choice(WORDS) for _ in range(12))
                out.write(json.dumps({
                    "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
                    "name": name, "title": text[:40], "description": text[:100], "version": f"1.{version}.0",
                    "repository": {"url": f"https://github.com/example/{name.split('/')[1]}", "source": "github"},
                    "packages": [{"registryType": "npm", "identifier": f"@example/{name.split('/')[1]}",
                                  "version": f"1.{version}.0", "transport": {"type": "stdio"},
                                  "environmentVariables": [{"name": "API_KEY", "isSecret": True, "description": text}]}],
                    "remotes": [{"type": "streamable-http", "url": f"https://{n}.example.com/{version}/mcp"}],
                }) + "\n")


def registry():
    service = Service(model=False)
    service.start()
    lines = service.data / "servers.jsonl"
    made_up_servers(lines, SERVERS, VERSIONS)
    counts, took = service.import_lines(lines)
    say("versions loaded", f"{counts.get('registered', 0) + counts.get('updated', 0):,}", f"{VERSIONS / took:,.0f}/s")
    with urllib.request.urlopen(service.url + "/v0.1/servers?limit=30&version=latest") as answer:
        page = answer.read()
    names = [entry["server"]["name"] for entry in json.loads(page)["servers"]]
    detail_path = f"/v0.1/servers/{urllib.parse.quote(names[0], safe='')}/versions/latest"
    with urllib.request.urlopen(service.url + detail_path) as answer:
        detail = answer.read()
    all_names = sorted({json.loads(line)["name"] for line in open(lines)})
    details = [f"/v0.1/servers/{urllib.parse.quote(name, safe='')}/versions/latest"
               for name in random.Random(1).sample(all_names, 5_000)]
    nginx = Nginx({"list.json": page, "detail.json": detail})
    for what, path, file in (("list", "/v0.1/servers?limit=30&version=latest", "list.json"),
                             ("detail", detail_path, "detail.json")):
        ours, p99, errors = wrk(service.url + path)
        theirs, _, _ = wrk(f"http://127.0.0.1:{nginx.port}/{file}")
        say(f"registry {what}", f"{ours:,.0f}/s", f"p99 {p99:.1f} ms, {errors} errors, {ours / theirs:.2f} of nginx ({theirs:,.0f}/s)")
    ours, p99, errors = wrk(service.url, details)
    say("registry detail, 5,000 servers in turn", f"{ours:,.0f}/s", f"p99 {p99:.1f} ms, {errors} errors")
    say("memory with 79,945 versions", f"{service.memory():.0f} MB", "")
    say("start with 79,945 versions, lexical only", f"{restart(service):.2f} s", "")
    nginx.stop()
    service.stop()


def restart(service):
    service.stop(keep=True)
    return service.start()


def corpus_file(service):
    real = SHARED / "corpus/mcp-servers/servers.jsonl"
    if real.is_file():
        return real, sum(1 for _ in open(real))
    made = service.data / "made.jsonl"
    made_up_servers(made, 5_789, 5_789)
    return made, 5_789


def queries():
    folder = SHARED / "corpus/search-eval/dev"
    found = [json.loads(line)["text"] for name in ("plugin", "keyword") if (folder / name / "queries.jsonl").is_file()
             for line in open(folder / name / "queries.jsonl")]
    dice = random.Random(3)
    found = found or [" ".join(dice.choice(WORDS) for _ in range(dice.randint(1, 6))) for _ in range(800)]
    dice.shuffle(found)
    return ["/api/v1/search?limit=10&q=" + urllib.parse.quote(text) for text in found]


def importing():
    service = Service()
    service.start()
    path, lines = corpus_file(service)
    counts, took = service.import_lines(path)
    say(f"import of {lines:,} servers", f"{lines / took:,.0f}/s", json.dumps({k: v if not isinstance(v, list) else len(v) for k, v in counts.items()}))
    counts, took = service.import_lines(path)
    say("the same again", f"{lines / took:,.0f}/s", json.dumps({k: v if not isinstance(v, list) else len(v) for k, v in counts.items()}))
    took = service.settle()
    say("embeddings done after", f"{took:.0f} s" if took is not None else "more than 900 s", "")
    say("memory with the corpus", f"{service.memory():.0f} MB", "goal: below 350")
    say("start to ready, warm", f"{restart(service):.2f} s", "goal: below 2")
    service.stop()


def search():
    paths = queries()
    service = Service(model=False)
    service.start()
    path, _ = corpus_file(service)
    service.import_lines(path)
    service.settle("lag") if "lag" in service.get("/readyz")["search"] else time.sleep(3)
    rate, p99, errors = wrk(service.url, paths)
    say("lexical search over HTTP", f"{rate:,.0f}/s", f"p99 {p99:.1f} ms, {errors} errors; goal: 3,000/s")
    say("lexical search, CPU a query", f"{cpu_each(service, paths):.2f} ms", "goal: below 1")
    service.stop()
    service = Service()
    service.start()
    service.import_lines(path)
    if service.get("/readyz")["search"].get("semantic") in ("absent", "off", False):
        say("hybrid search", "skipped", "no embedding model is prepared")
    else:
        service.settle()
        say("hybrid search, CPU a query", f"{cpu_each(service, paths):.2f} ms", "goal: below 8")
        say("memory with the corpus, after queries", f"{service.memory():.0f} MB", "")
    service.stop()


def cpu_each(service, paths, most=800):
    """Milliseconds of the program's CPU a query, one at a time, each text once."""
    paths = paths[:most]
    import http.client
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    before = service.cpu()
    for path in paths:
        connection.request("GET", path)
        connection.getresponse().read()
    return (service.cpu() - before) / len(paths) * 1000


def start():
    service = Service()
    say("first start, database made", f"{service.start():.2f} s", "")
    say("start to ready, warm", f"{restart(service):.2f} s", "goal: below 2")
    pages = {}
    for path in ("/", "/browse", "/assets/samples/payments", "/assets/samples/payments/operations"):
        request = urllib.request.Request(service.url + path, headers={"Accept": "text/html"})
        began = time.perf_counter()
        with urllib.request.urlopen(request) as answer:
            pages[path] = (len(answer.read()), (time.perf_counter() - began) * 1000)
    for path, (size, took) in pages.items():
        say(f"page {path}", f"{size / 1024:.1f} KB", f"{took:.1f} ms; goal: at most 30 KB")
    began = time.perf_counter()
    service.stop()
    say("stop", f"{time.perf_counter() - began:.2f} s", "")


GATEWAY = """
backends:
  - {{name: mock, provider: compatible, url: "http://127.0.0.1:{port}/v1"}}
pools:
  - {{name: mock, members: [{{backend: mock}}]}}
policies:
  - name: tokens
    reach: all
    rule: {{tokenLimit: {{counterKey: "{{key}}", tokensPerMinute: 4000000000, requestsPerMinute: 4000000000}}}}
routes:
  - {{name: mock, serves: {{models: [gpt-4o]}}, pool: mock, callers: everyone}}
"""


def proxy(port):
    """nginx with `proxy_pass`, a check of the key and kept connections: the peer of the gateway."""
    home = Path(tempfile.mkdtemp(prefix="whf-nginx-", dir="/tmp"))
    os.chmod(home, 0o755)
    own = free_port()
    (home / "nginx.conf").write_text(
        f"worker_processes 2; daemon off; pid {home}/pid; error_log {home}/error.log;\n"
        "events { worker_connections 1024; }\n"
        "http { access_log off; keepalive_requests 1000000000;\n"
        f' map $http_authorization $known {{ default 0; "Bearer {ADMIN}" 1; }}\n'
        f" upstream mock {{ server 127.0.0.1:{port}; keepalive 64; keepalive_requests 1000000000; }}\n"
        f" server {{ listen 127.0.0.1:{own}; location / {{ if ($known = 0) {{ return 401; }} proxy_pass http://mock;\n"
        '  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } } }\n')
    process = subprocess.Popen(["nginx", "-c", home / "nginx.conf"], stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    return process, own, home


def family_cpu(pid):
    """Seconds of CPU of a process and its children, which nginx works in."""
    total, tick = 0, os.sysconf("SC_CLK_TCK")
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(entry.parent.name) == pid or int(fields[1]) == pid:
            total += int(fields[11]) + int(fields[12])
    return total / tick


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


def gateway():
    port = free_port()
    mock = subprocess.Popen([BINARY.parent / "examples/mock_vendor", str(port), "900"])
    service = Service(model=False)
    service.env["WHARFINGER_GATEWAY_ALLOWED_HOSTS"] = "127.0.0.1"
    service.start()
    settings = service.data / "gateway.yaml"
    settings.write_text(GATEWAY.format(port=port))
    subprocess.run([BINARY, "apply", "-f", settings, "--yes"], env=service.env, check=True, stdout=subprocess.DEVNULL)
    time.sleep(1.5)
    nginx, nginx_port, home = proxy(port)
    words = " ".join(random.Random(5).choice(WORDS) for _ in range(110))
    for what, stream, bar in (("1 KiB chat", False, 2.2), ("100-event stream", True, 2.5)):
        body = json.dumps({"model": "gpt-4o", "stream": stream, "max_tokens": 200,
                           "messages": [{"role": "user", "content": words}]}, separators=(",", ":"))
        if stream:  # What the gateway would ask for is asked by both, so that both pass on the same bytes.
            body = body[:-1] + ',"stream_options":{"include_usage":true}}'
        figures = {}
        for name, base, pid in (("nginx", f"http://127.0.0.1:{nginx_port}/v1", nginx.pid),
                                ("ours", f"{service.url}/llm/v1", service.process.pid)):
            post(f"{base}/chat/completions", body, 2)
            before = family_cpu(pid) if name == "nginx" else service.cpu()
            done, errors, p50, p99 = post(f"{base}/chat/completions", body, 8)
            used = (family_cpu(pid) if name == "nginx" else service.cpu()) - before
            figures[name] = used / max(done, 1) * 1000
            say(f"{what}, {name}", f"{figures[name]:.4f} s/1k", f"{done / 8:,.0f}/s, p50 {p50:.2f} ms, p99 {p99:.2f} ms, {errors} errors")
        say(f"{what}, CPU against nginx", f"{figures['ours'] / figures['nginx']:.2f} x", f"goal: at most {bar}")
    say("memory after that", f"{service.memory():.0f} MB", "")
    nginx.terminate()
    mock.terminate()
    service.stop()
    shutil.rmtree(home, ignore_errors=True)


def say(what, figure, note):
    print(f"{what:<44} {figure:>14}   {note}", flush=True)


if __name__ == "__main__":
    parts = {"registry": registry, "search": search, "import": importing, "start": start, "gateway": gateway}
    wanted = sys.argv[1:] or list(parts)
    for tool in ("wrk", "nginx"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is not installed; scripts/setup bench installs it")
    for name in wanted:
        if name not in parts:
            sys.exit(f"{name!r} is not one of {', '.join(parts)}")
        parts[name]()
