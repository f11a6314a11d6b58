#!/usr/bin/env python3
"""Measures what the container image ships against the figures the project promises; standard library, wrk and nginx only.

    bench/bench.py [registry] [search] [import] [start] [access] [gateway] [streams] [overload] [steady] [counters]     all when none is named

Each part starts the program with a data folder of its own, on loopback, for a bounded time. Where a peer is at hand the
figure is a ratio taken in the same run. Real data is taken from the folder WHARFINGER_SHARED (or ../shared) when it is
there; else servers are made up, of like size. BENCH_BINARY names another build of the program.
"""
import shutil, sys

import access, gateway, register

PARTS = {
    "registry": register.registry, "search": register.search, "import": register.importing, "start": register.start,
    "access": access.access,
    "gateway": gateway.gateway, "streams": gateway.streams, "overload": gateway.overload, "steady": gateway.steady, "counters": gateway.counters,
}

if __name__ == "__main__":
    wanted = sys.argv[1:] or list(PARTS)
    for tool in ("wrk", "nginx"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is not installed; scripts/setup bench installs it")
    for name in wanted:
        if name not in PARTS:
            sys.exit(f"{name!r} is not one of {', '.join(PARTS)}")
        PARTS[name]()
