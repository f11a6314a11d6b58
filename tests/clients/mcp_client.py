"""Calls the discovery endpoint with the Python SDK's client, in every mode it has."""

import asyncio
import sys

from mcp import Client

VERSIONS = {"auto": "2026-07-28", "legacy": "2025-11-25", "2026-07-28": "2026-07-28"}


async def visit(url: str, mode: str) -> None:
    async with Client(url, mode=mode) as client:
        assert client.protocol_version == VERSIONS[mode], client.protocol_version
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert tools["search_catalog"].annotations.read_only_hint, tools
        hits = await client.call_tool("search_catalog", {"query": "refund"})
        assert not hits.is_error and hits.structured_content["items"][0]["name"] == "payments", hits
        refused = await client.call_tool("describe_asset", {"name": "nothing"})
        assert refused.is_error, refused
        prompts = (await client.list_prompts()).prompts
        assert prompts, "there are prompts"
        resources = (await client.list_resources()).resources
        read = await client.read_resource(resources[0].uri)
        assert read.contents[0].text, read
        print(f"ok      {mode}: {client.protocol_version}, {len(tools)} tools, {len(resources)} resources")


async def main(url: str) -> None:
    for mode in VERSIONS:
        await visit(url, mode)


asyncio.run(main(sys.argv[1]))
