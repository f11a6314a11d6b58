"""The register: registry reads against nginx, search, imports, starting."""
import http.client, json, random, time, urllib.parse, urllib.request

from house import (SERVERS, SHARED, VERSIONS, WORDS, Nginx, Service, made_up_servers, say, wrk)


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
