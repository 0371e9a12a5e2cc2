"""The ONNX graph of a BERT encoder, built from its weights, so that no deep-learning framework is installed."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from infra.embeddings.minilm import HIDDEN

HEADS = 12
LAYERS = 6
EPSILON = 1e-12  # of layer normalisation
OPSET = 20  # the first with a standard Gelu
IR_VERSION = 10

Weights = Mapping[str, NDArray[np.float32]]
Permutation = tuple[int, int, int]


class _Graph:
    """Nodes and constants as they are added; every method returns the name of what it added."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def constant(self, name: str, value: object) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def weight(self, name: str) -> str:
        return self.constant(name, self._weights[name])

    def op(self, kind: str, *inputs: str, **attributes: float | Sequence[int]) -> str:
        output = f"{kind}_{len(self._nodes)}"
        self._nodes.append(_node(kind, inputs, output, attributes))
        return output

    def linear(self, x: str, name: str) -> str:
        weight = self.constant(f"{name}.weight", self._weights[f"{name}.weight"].T)
        return self.op("Add", self.op("MatMul", x, weight), self.weight(f"{name}.bias"))

    def norm(self, x: str, name: str) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=EPSILON)

    def model(self, output: str) -> ModelProto:
        self._nodes.append(helper.make_node("Identity", [output], ["tokens"]))
        ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["length"])
        tokens = helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["length", HIDDEN])
        graph = helper.make_graph(self._nodes, "encoder", [ids], [tokens], self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        checker.check_model(model)
        return model


def _node(kind: str, inputs: Sequence[str], output: str, attributes: Mapping[str, float | Sequence[int]]) -> NodeProto:
    node = helper.make_node(kind, list(inputs), [output])
    node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
    return node


def encoder(weights: Weights) -> ModelProto:
    """The encoder for one text: `ids` (length) to `tokens` (length × 384), without padding and so without a mask.

    Source: Devlin et al. 2019, BERT (arXiv 1810.04805); weights are named as in the Hugging Face checkpoint.
    """
    graph = _Graph(weights)
    x = _embedded(graph, weights)
    shape = graph.constant("heads", np.array([0, HEADS, HIDDEN // HEADS], np.int64))
    whole = graph.constant("whole", np.array([0, HIDDEN], np.int64))
    scale = graph.constant("scale", np.array((HIDDEN // HEADS) ** -0.5, np.float32))
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}."
        query, key, value = (
            _head(graph, graph.linear(x, f"{name}attention.self.{part}"), shape, permutation)
            for part, permutation in (("query", (1, 0, 2)), ("key", (1, 2, 0)), ("value", (1, 0, 2)))
        )
        attention = graph.op("Softmax", graph.op("Mul", graph.op("MatMul", query, key), scale), axis=-1)
        context = graph.op("Transpose", graph.op("MatMul", attention, value), perm=[1, 0, 2])
        attended = graph.linear(graph.op("Reshape", context, whole), f"{name}attention.output.dense")
        x = graph.norm(graph.op("Add", attended, x), f"{name}attention.output.LayerNorm")
        inner = graph.op("Gelu", graph.linear(x, f"{name}intermediate.dense"))
        x = graph.norm(graph.op("Add", graph.linear(inner, f"{name}output.dense"), x), f"{name}output.LayerNorm")
    return graph.model(x)


def _embedded(graph: _Graph, weights: Weights) -> str:
    """Words plus positions; every token is of type 0, so its embedding is folded into the positions."""
    positions = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    words = graph.op("Gather", graph.weight("embeddings.word_embeddings.weight"), "ids")
    start = graph.constant("start", np.array([0], np.int64))
    places = graph.op("Slice", graph.constant("positions", positions), start, graph.op("Shape", "ids"))
    return graph.norm(graph.op("Add", words, places), "embeddings.LayerNorm")


def _head(graph: _Graph, x: str, shape: str, permutation: Permutation) -> str:
    return graph.op("Transpose", graph.op("Reshape", x, shape), perm=list(permutation))
