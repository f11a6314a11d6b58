#!/usr/bin/env python3
"""Writes a BERT sentence encoder as an ONNX graph, straight from its safetensors weights.

    build_onnx.py MODEL_DIRECTORY OUTPUT.onnx

MODEL_DIRECTORY holds `config.json` and `model.safetensors`. The package that carries the weights has no ONNX file, and
the usual exporter would need a deep learning framework of several gigabytes; an encoder of this family is some twenty
operators a layer, so the graph is written by hand. Inputs and output bear the names fastembed looks for: `input_ids`,
`attention_mask`, `token_type_ids`, all of shape (batch, tokens), and `last_hidden_state` (batch, tokens, hidden).
Only operators of opset 17 are used. The graph is run and compared with the same encoder computed in numpy; then its
weights are rounded to bytes, which makes it a quarter as large and twice as quick, and the rounded graph is compared with
the exact one before it is written.
"""
import json
import logging
import os
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file

OPSET = 17
# How far the graph may be from its weights, number by number; and how near the vector of a text must stay to the exact
# one, as a cosine. On sentences it stays above 0.98; the check uses words at random, which the encoder never saw.
LARGEST_DIFFERENCE, SMALLEST_COSINE = 1e-4, 0.95
# What the softmax adds at padded places: the lowest number of the type, as in the original implementation.
MASKED = np.float32(np.finfo(np.float32).min)


class Graph:
    """Collects nodes and constants; every method adds one operator and gives the name of its output."""

    def __init__(self):
        self.nodes, self.constants, self.known = [], [], {}

    def constant(self, values, dtype=np.float32):
        array = np.ascontiguousarray(values, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size <= 8 else None
        if key in self.known:
            return self.known[key]
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        if key is not None:
            self.known[key] = name
        return name

    def integers(self, *values):
        return self.constant(values, np.int64)

    def add(self, operator, *inputs, outputs=1, name=None, **attributes):
        stem = name or f"{operator.lower()}_{len(self.nodes)}"
        names = [stem] if outputs == 1 else [f"{stem}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, name=f"node_{len(self.nodes)}", **attributes))
        return names[0] if outputs == 1 else names


class Encoder:
    """The weights and sizes of one model."""

    def __init__(self, directory):
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        expected = {"model_type": "bert", "hidden_act": "gelu"}
        for key, value in expected.items():
            if config.get(key) != value:
                raise SystemExit(f"{directory}: {key} is {config.get(key)!r}, only {value!r} can be written")
        if config.get("position_embedding_type", "absolute") != "absolute":
            raise SystemExit(f"{directory}: only absolute positions can be written")
        self.hidden = config["hidden_size"]
        self.layers = config["num_hidden_layers"]
        self.heads = config["num_attention_heads"]
        self.epsilon = config["layer_norm_eps"]
        self.vocabulary = config["vocab_size"]
        self.tensors = {
            name.removeprefix("bert."): tensor.astype(np.float32)
            for name, tensor in load_file(directory / "model.safetensors").items()
            if tensor.dtype.kind == "f"
        }

    def affine(self, *prefixes):
        """Weight (inputs x outputs) and bias of one linear map, or of several side by side."""
        weight = np.concatenate([self.tensors[f"{p}.weight"].T for p in prefixes], axis=1)
        return weight, np.concatenate([self.tensors[f"{p}.bias"] for p in prefixes])

    def attention(self, layer):
        return [f"encoder.layer.{layer}.attention.self.{part}" for part in ("query", "key", "value")]


def to_onnx(encoder):
    graph = Graph()
    head_size = encoder.hidden // encoder.heads

    def linear(x, *prefixes):
        weight, bias = encoder.affine(*prefixes)
        return graph.add("Add", graph.add("MatMul", x, graph.constant(weight)), graph.constant(bias))

    def normalised(x, prefix, name=None):
        scale, shift = (graph.constant(encoder.tensors[f"{prefix}.{part}"]) for part in ("weight", "bias"))
        return graph.add("LayerNormalization", x, scale, shift, axis=-1, epsilon=encoder.epsilon, name=name)

    def table(name):
        return graph.constant(encoder.tensors[f"embeddings.{name}_embeddings.weight"])

    tokens = graph.add("Slice", graph.add("Shape", "input_ids"), graph.integers(1), graph.integers(2))
    words = graph.add("Gather", table("word"), "input_ids")
    segments = graph.add("Gather", table("token_type"), "token_type_ids")
    places = graph.add("Slice", table("position"), graph.integers(0), tokens, graph.integers(0))
    x = normalised(graph.add("Add", graph.add("Add", words, segments), places), "embeddings.LayerNorm")

    one = graph.constant(1.0)
    mask = graph.add("Cast", graph.add("Unsqueeze", "attention_mask", graph.integers(1, 2)), to=TensorProto.FLOAT)
    mask = graph.add("Mul", graph.add("Sub", one, mask), graph.constant(MASKED))

    into_heads, together = graph.integers(0, 0, encoder.heads, head_size), graph.integers(0, 0, encoder.hidden)
    # The attention's scale goes into the queries: a smaller tensor than the scores.
    scale = graph.constant(head_size**-0.5)
    for layer in range(encoder.layers):
        prefix = f"encoder.layer.{layer}"
        # One product for the three projections: a quarter of the time of an encoder this small is call overhead.
        projected = linear(x, *encoder.attention(layer))
        widths = graph.integers(*[encoder.hidden] * 3)
        q, k, v = (
            graph.add("Reshape", part, into_heads) for part in graph.add("Split", projected, widths, outputs=3, axis=2)
        )
        q = graph.add("Mul", graph.add("Transpose", q, perm=[0, 2, 1, 3]), scale)
        scores = graph.add("MatMul", q, graph.add("Transpose", k, perm=[0, 2, 3, 1]))
        weights = graph.add("Softmax", graph.add("Add", scores, mask), axis=-1)
        mixed = graph.add("MatMul", weights, graph.add("Transpose", v, perm=[0, 2, 1, 3]))
        mixed = graph.add("Reshape", graph.add("Transpose", mixed, perm=[0, 2, 1, 3]), together)
        attended = graph.add("Add", linear(mixed, f"{prefix}.attention.output.dense"), x)
        x = normalised(attended, f"{prefix}.attention.output.LayerNorm")

        inner = linear(x, f"{prefix}.intermediate.dense")
        # GELU with the error function: x * (1 + erf(x / sqrt 2)) / 2.
        error = graph.add("Erf", graph.add("Div", inner, graph.constant(2**0.5)))
        inner = graph.add("Mul", graph.add("Mul", inner, graph.add("Add", error, one)), graph.constant(0.5))
        is_last = layer == encoder.layers - 1
        fed = graph.add("Add", linear(inner, f"{prefix}.output.dense"), x)
        x = normalised(fed, f"{prefix}.output.LayerNorm", name="last_hidden_state" if is_last else None)

    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    output = helper.make_tensor_value_info(x, TensorProto.FLOAT, ["batch", "tokens", encoder.hidden])
    body = helper.make_graph(graph.nodes, "sentence_encoder", inputs, [output], graph.constants)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="wharfinger")
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


def in_numpy(encoder, ids, mask):
    """The same encoder a second time, plainly: what the graph has to give."""
    erf = np.vectorize(__import__("math").erf, otypes=[np.float64])
    tensors = {name: tensor.astype(np.float64) for name, tensor in encoder.tensors.items()}

    def normalised(x, prefix):
        centred = x - x.mean(-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(-1, keepdims=True) + encoder.epsilon)
        return centred / spread * tensors[f"{prefix}.weight"] + tensors[f"{prefix}.bias"]

    def linear(x, prefix):
        return x @ tensors[f"{prefix}.weight"].T + tensors[f"{prefix}.bias"]

    batch, length = ids.shape
    x = tensors["embeddings.word_embeddings.weight"][ids]
    x = x + tensors["embeddings.token_type_embeddings.weight"][0]
    x = normalised(x + tensors["embeddings.position_embeddings.weight"][:length], "embeddings.LayerNorm")
    for layer in range(encoder.layers):
        prefix = f"encoder.layer.{layer}"
        q, k, v = (
            linear(x, name).reshape(batch, length, encoder.heads, -1).transpose(0, 2, 1, 3)
            for name in encoder.attention(layer)
        )
        scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1]) + (1 - mask[:, None, None, :]) * float(MASKED)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ v
        mixed = mixed.transpose(0, 2, 1, 3).reshape(batch, length, encoder.hidden)
        x = normalised(linear(mixed, f"{prefix}.attention.output.dense") + x, f"{prefix}.attention.output.LayerNorm")
        inner = linear(x, f"{prefix}.intermediate.dense")
        inner = inner * (1 + erf(inner / np.sqrt(2))) / 2
        x = normalised(linear(inner, f"{prefix}.output.dense") + x, f"{prefix}.output.LayerNorm")
    return x


def rounded(model, path):
    """Writes the graph with weights of 7 bits, each output of a layer with a scale of its own.

    With all 8 bits, processors without VNNI instructions would overflow in the middle of a product and say nothing.
    """
    logging.disable(logging.WARNING)  # It advises to simplify the graph first; this one has nothing to simplify.
    quantize_dynamic(model, path, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)


class Samples:
    """Texts of unequal length, and what a graph makes of them."""

    def __init__(self, encoder):
        random = np.random.default_rng(7)
        self.ids = random.integers(1, encoder.vocabulary, size=(2, 12))
        self.mask = np.ones_like(self.ids)
        self.mask[1, 7:] = 0

    def through(self, graph):
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        inputs = {"input_ids": self.ids, "attention_mask": self.mask, "token_type_ids": np.zeros_like(self.ids)}
        return session.run(["last_hidden_state"], inputs)[0]

    def largest_difference(self, given, expected):
        """Over the tokens that count."""
        return float(np.abs(given - expected)[self.mask == 1].max())

    def smallest_cosine(self, given, expected):
        """Of the texts' vectors, the mean of those of their tokens."""
        def vectors(hidden):
            mean = (hidden * self.mask[..., None]).sum(1)
            return mean / np.linalg.norm(mean, axis=-1, keepdims=True)

        return float((vectors(given) * vectors(expected)).sum(-1).min())


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__.split("\n\n")[1].strip())
    directory, output = Path(sys.argv[1]), Path(sys.argv[2])
    encoder = Encoder(directory)
    model, samples = to_onnx(encoder), Samples(encoder)
    exact = samples.through(model.SerializeToString())
    difference = samples.largest_difference(exact, in_numpy(encoder, samples.ids, samples.mask))
    if not difference < LARGEST_DIFFERENCE:
        raise SystemExit(f"the graph differs from its weights by {difference}: not written")
    unfinished = output.with_name(output.name + ".part")
    rounded(model, unfinished)
    cosine = samples.smallest_cosine(samples.through(unfinished), exact)
    if not cosine > SMALLEST_COSINE:
        raise SystemExit(f"rounding turns the vector of a text away to a cosine of {cosine}: not written")
    os.replace(unfinished, output)
    print(f"{output}: {output.stat().st_size:,} bytes, cosine to the exact vectors at least {cosine:.3f}")


if __name__ == "__main__":
    main()
