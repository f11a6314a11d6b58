"""What permissions and visibility cost: the same reads by anybody, of what is public, and by one with roles."""
import json, random, time, urllib.parse, urllib.request

from house import ADMIN, WORDS, Service, family_cpu, made_up_servers, say, wrk

# Of the private ones a reader sees half: few, so that what is compared is what judging costs, not what finding more does.
PUBLIC, WORKSPACES, PRIVATE = 5_000, 20, 25
TURNS = 13


def access():
    service = Service(model=False)
    service.start()
    lines = service.data / "servers.jsonl"
    made_up_servers(lines, PUBLIC, PUBLIC)
    service.import_lines(lines)
    account = ask(service, "POST", "/api/v1/service-accounts", {"name": "reader"})
    made_up_servers(lines, PRIVATE, PRIVATE)
    for n in range(WORKSPACES):
        ask(service, "POST", "/api/v1/workspaces", {"name": f"team-{n}", "defaultVisibility": "private"})
        own = service.data / f"team-{n}.jsonl"
        own.write_text(lines.read_text().replace('"name": "io.example.', f'"name": "io.team{n}.'))
        service.import_lines(own, f"?workspace=team-{n}")
        if n < WORKSPACES / 2:  # Half of them are the reader's.
            ask(service, "POST", "/api/v1/role-assignments",
                {"role": "reader", "holderKind": "service-account", "holder": account["name"], "workspace": f"team-{n}"})
    key = ask(service, "POST", "/api/v1/keys", {"name": "bench", "serviceAccount": account["name"], "scopes": ["catalog:read"]})["text"]
    time.sleep(5)
    names = [json.loads(line)["name"] for line in open(service.data / "servers.jsonl")]
    dice = random.Random(3)
    searches = ["/api/v1/search?limit=10&q=" + "+".join(dice.choice(WORDS) for _ in range(dice.randint(1, 4))) for _ in range(500)]
    details = [f"/v0.1/servers/{urllib.parse.quote(name, safe='')}/versions/latest" for name in names]
    postmaster = int((service.data / "postgres/postmaster.pid").read_text().split()[0])
    for what, paths in (("list of assets", ["/api/v1/assets?limit=30"]), ("search", searches),
                        ("registry list", ["/v0.1/servers?limit=30&version=latest"]), ("registry detail", details)):
        ratios, askers = [], [("anybody", []), ("a reader", [f"Authorization: Bearer {key}"])]
        for _ in range(TURNS):  # In turn, and who was first is then second, so that what else the machine does meets both.
            each = {}
            for who, headers in askers:
                before = service.cpu() + family_cpu(postmaster)
                rate, _, errors = wrk(service.url, paths, seconds=2, connections=8, headers=headers)
                each[who] = (service.cpu() + family_cpu(postmaster) - before) / (rate * 2) * 1e6
                if errors:
                    raise SystemExit(f"{errors} errors: {what}, {who}")
            askers.reverse()
            ratios.append(each["a reader"] / each["anybody"])
        ratios.sort()
        say(f"{what}, CPU of a reader's", f"{ratios[TURNS // 2]:.2f} x",
            f"anybody's, {each['anybody']:.0f} us; {TURNS} turns, half of them between {ratios[TURNS // 4]:.2f} and {ratios[-1 - TURNS // 4]:.2f}; goal: at most 1.10")
    service.stop()


def ask(service, method, path, body):
    request = urllib.request.Request(service.url + path, json.dumps(body).encode(), method=method, headers={
        "Authorization": f"Bearer {ADMIN}", "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
