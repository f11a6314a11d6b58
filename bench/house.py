"""The ground of the benchmarks: the program and its peers on loopback, load, and what a process used."""
import json, os, random, resource, shutil, socket, subprocess, tempfile, time, urllib.request
from pathlib import Path

# Thousands of connections are opened by some parts, here and in what is started from here.
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)

ROOT = Path(__file__).resolve().parent.parent
BINARY = Path(os.environ.get("BENCH_BINARY", ROOT / "target/dist/wharfinger"))
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

    def import_lines(self, path, query=""):
        began = time.perf_counter()
        request = urllib.request.Request(f"{self.url}/api/v1/import{query}", Path(path).read_bytes(), method="POST", headers={
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


def wrk(url, paths=None, seconds=8, connections=16, headers=()):
    """Requests a second and the 99th percentile in milliseconds; `paths` are asked for in turn."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *(word for line in headers for word in ("-H", line)), url]
    script = tempfile.NamedTemporaryFile("w", suffix=".lua", delete=False)
    if paths:
        listed = ",".join(json.dumps(path) for path in paths)
        script.write(f"local p={{{listed}}} local i=0\nrequest=function() i=i%#p+1 return wrk.format('GET',p[i]) end\n")
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


def processors():
    """Ticks that all processors were busy for, and all ticks, since the machine started."""
    user, nice, system, idle, waiting, *interrupts = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    busy = user + nice + system + sum(interrupts[:3])
    return busy, busy + idle + waiting


def say(what, figure, note):
    print(f"{what:<44} {figure:>14}   {note}", flush=True)


def family_memory(pid):
    """Resident megabytes of a process and its children."""
    total = 0
    for entry in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(":", 1) for line in entry.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        if int(entry.parent.name) == pid or int(lines["PPid"]) == pid:
            total += int(lines.get("VmRSS", "0").split()[0])
    return total / 1024
