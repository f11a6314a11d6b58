"""The vendors' own clients against the gateway: nothing is set but the address and the key.

`fast` is answered in OpenAI's dialect, `clever` in Anthropic's; each is asked in both.
"""
import sys
import anthropic
import openai

url, key = sys.argv[1], sys.argv[2]
WORDS = " word word word word word word"
ASK = [{"role": "user", "content": "hello"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"type": "function", "function": {"name": "weather", "description": "Tells it.", "parameters": SCHEMA}}


def chats(name, client, model):
    answer = client.chat.completions.create(model=model, messages=ASK, max_tokens=6)
    assert answer.choices[0].message.content == WORDS, answer
    assert answer.usage.prompt_tokens == 11 and answer.usage.completion_tokens == 6, answer.usage

    stream = client.chat.completions.create(model=model, messages=ASK, max_tokens=6, stream=True)
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == WORDS
    assert all(c.usage is None for c in chunks), "usage that nobody asked for"
    stream = client.chat.completions.create(model=model, messages=ASK, max_tokens=6, stream=True,
                                            stream_options={"include_usage": True})
    assert [c.usage.completion_tokens for c in stream if c.usage] == [6]

    answer = client.chat.completions.create(model=model, messages=ASK, tools=[TOOL], tool_choice="auto")
    call = answer.choices[0].message.tool_calls[0]
    assert (call.function.name, call.function.arguments.replace(" ", "")) == ("weather", '{"city":"Cork"}'), call
    chunks = client.chat.completions.create(model=model, messages=ASK, tools=[TOOL], stream=True)
    parts = [t for c in chunks if c.choices for t in c.choices[0].delta.tool_calls or []]
    assert parts[0].function.name == "weather"
    assert "".join(p.function.arguments or "" for p in parts) == '{"city":"Cork"}'
    follow = ASK + [{"role": "assistant", "tool_calls": [call.model_dump()]},
                    {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    assert client.chat.completions.create(model=model, messages=follow, max_tokens=6).choices[0].message.content == WORDS
    print(f"{name} {model}: chat, stream, usage, tools")


plain = openai.OpenAI(base_url=f"{url}/llm/v1", api_key=key, max_retries=0)
azure = openai.AzureOpenAI(azure_endpoint=f"{url}/llm", api_key=key, api_version="2024-10-21", max_retries=0)
for name, client in (("openai", plain), ("azure", azure)):
    for model in ("fast", "azure-fast", "clever"):
        chats(name, client, model)

assert [m.id for m in plain.models.list()] == ["azure-fast", "clever", "fast"]
assert plain.embeddings.create(model="fast", input="hello", encoding_format="float").data[0].embedding == [0.25, -0.5]
assert azure.embeddings.create(model="fast", input="hello", encoding_format="float").usage.total_tokens == 11
answer = plain.responses.create(model="fast", input="hello", max_output_tokens=6)
assert answer.output_text == WORDS and answer.usage.output_tokens == 6
events = list(plain.responses.create(model="fast", input="hello", max_output_tokens=6, stream=True))
assert events[-1].type == "response.completed" and events[-1].response.usage.output_tokens == 6
assert sum(e.type == "response.output_text.delta" for e in events) == 6
assert plain.responses.retrieve(answer.id).output_text
assert azure.responses.retrieve(answer.id).id == answer.id
assert plain.responses.input_items.list(answer.id).data == []
assert plain.responses.cancel(answer.id).status == "cancelled"
assert [e.type for e in plain.responses.retrieve(answer.id, stream=True)][-1] == "response.completed"
assert plain.responses.delete(answer.id) is None
print("openai: models, embeddings, responses")

for asked, status in (("nothing", 404),):
    try:
        plain.chat.completions.create(model=asked, messages=ASK)
        raise AssertionError("answered")
    except openai.APIStatusError as error:
        assert error.status_code == status and error.code == "model_not_found", error
try:
    openai.OpenAI(base_url=f"{url}/llm/v1", api_key="whf_wrong", max_retries=0).models.list()
    raise AssertionError("answered")
except openai.AuthenticationError as error:
    assert error.code == "invalid_api_key", error

claude = anthropic.Anthropic(base_url=f"{url}/llm/anthropic", api_key=key, max_retries=0)
for model in ("clever", "fast"):
    message = claude.messages.create(model=model, max_tokens=6, messages=ASK, system="Be brief.")
    assert message.content[0].text == WORDS and message.usage.output_tokens == 6, message
    with claude.messages.stream(model=model, max_tokens=6, messages=ASK) as stream:
        assert "".join(stream.text_stream) == WORDS
        assert stream.get_final_message().usage.output_tokens == 6
    tool = {"name": "weather", "description": "Tells it.", "input_schema": SCHEMA}
    with claude.messages.stream(model=model, max_tokens=6, messages=ASK, tools=[tool]) as stream:
        block = stream.get_final_message().content[0]
    assert (block.type, block.name, block.input) == ("tool_use", "weather", {"city": "Cork"}), block
    follow = ASK + [{"role": "assistant", "content": [block.model_dump(exclude_none=True)]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": block.id, "content": "rain"}]}]
    assert claude.messages.create(model=model, max_tokens=6, messages=follow).content[0].text == WORDS
    assert claude.messages.count_tokens(model=model, messages=ASK).input_tokens > 0
    print(f"anthropic {model}: messages, stream, tools, count_tokens")
try:
    claude.messages.create(model="nothing", max_tokens=6, messages=ASK)
    raise AssertionError("answered")
except anthropic.NotFoundError as error:
    assert error.body["error"]["type"] == "not_found_error", error.body
print("all is well")
