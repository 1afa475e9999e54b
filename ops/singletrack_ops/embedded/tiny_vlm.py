"""A vision-language model of one megabyte, for a real Ollama without a real model.

Untrained: what Ollama reports about it (sizes, times, loads and unloads) is real, what it says means nothing. The
weights are random numbers from a fixed seed, except that each word of `SENTENCE` makes the next one likely, and the
last one ends the answer. So it says that it is untrained, it stops by itself, and with a JSON schema as `format` it
soon writes valid JSON.

Layout of the two files: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, tensor names as llama.cpp
reads them for the architectures `llama` and `clip` (LLaVA 1.5).
"""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from singletrack_ops.errors import OpsError

if TYPE_CHECKING:
    from gguf import GGUFWriter

TINY_VLM = "singletrack-tiny-vlm"
SENTENCE = "this is an untrained test model and its words mean nothing"

_Array = npt.NDArray[np.floating[Any]]
_SEED = 7
_CREATE_LIMIT_S = 120.0

_WIDTH = 64
_FEED_FORWARD = 128
_BLOCKS = 2
_HEADS = 4
_CONTEXT = 2048
_IMAGE_PX = 56
_PATCH_PX = 14
_PATCHES = (_IMAGE_PX // _PATCH_PX) ** 2

_NOISE = 0.02
_EPSILON = 1e-5
# The first number of each embedding is the same for all tokens: a weight on it is a bias, which `llama` lacks.
_CONSTANT = 4.0
_SPREAD = 0.5
_NEXT_WORD_GAIN = 0.45
_FIRST_WORD_BIAS = 1.0
_OTHER_BIAS = -1.2

_UNKNOWN, _BEGIN, _END = range(3)
_QUOTE = 3 + ord('"')
_FIRST_WORD = 3 + 256

MODELFILE = 'FROM ./text.gguf\nFROM ./vision.gguf\nTEMPLATE "{{ .Prompt }}"\n'


def create_tiny_vlm(binary: Path, environment: Mapping[str, str], folder: Path, name: str = TINY_VLM) -> str:
    """Make the model's files in `folder` and create it at the server; returns `name`.

    `environment` is the whole environment of `ollama create`; its OLLAMA_HOST is the server. Raises `OpsError` with
    what `ollama` said.
    """
    modelfile = write_tiny_vlm(folder)
    argv = [str(binary), "create", name, "-f", str(modelfile)]
    try:
        done = subprocess.run(
            argv,
            env=dict(environment),
            cwd=binary.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=_CREATE_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OpsError(f"`ollama create` took longer than {_CREATE_LIMIT_S:.0f} s. See the server's log.") from error
    if done.returncode != 0:
        raise OpsError(f"`ollama create {name}` failed. See the server's log; it said:\n{done.stderr.strip()}")
    return name


def write_tiny_vlm(folder: Path, seed: int = _SEED) -> Path:
    """Write `text.gguf`, `vision.gguf` and `Modelfile`, the same bytes for a seed; returns the Modelfile's path."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = np.random.default_rng(seed)
    _write_text_model(folder / "text.gguf", numbers)
    _write_vision_model(folder / "vision.gguf", numbers)
    modelfile = folder / "Modelfile"
    modelfile.write_text(MODELFILE, encoding="utf-8")
    return modelfile


def _write_text_model(path: Path, numbers: np.random.Generator) -> None:
    writer = _writer(path, "llama")
    writer.add_name(TINY_VLM)
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_BLOCKS)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_layer_norm_rms_eps(_EPSILON)
    _add_vocabulary(writer)
    _add_tensors(writer, _text_tensors(numbers))


def _add_vocabulary(writer: "GGUFWriter") -> None:
    from gguf import TokenType

    words = [f"\u2581{word}" for word in SENTENCE.split()]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    types = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    types += [TokenType.BYTE] * 256 + [TokenType.NORMAL] * len(words)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(types)
    writer.add_unk_token_id(_UNKNOWN)
    writer.add_bos_token_id(_BEGIN)
    writer.add_eos_token_id(_END)
    writer.add_add_bos_token(True)


def _text_tensors(numbers: np.random.Generator) -> Iterator[tuple[str, _Array]]:
    embedding = numbers.normal(0, _SPREAD, (_FIRST_WORD + len(SENTENCE.split()), _WIDTH))
    embedding[:, 0] = _CONSTANT
    yield "token_embd.weight", embedding
    yield "output.weight", _output(embedding, numbers)
    yield "output_norm.weight", np.ones(_WIDTH)
    for block in range(_BLOCKS):
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"blk.{block}.{part}.weight", _noise(numbers, _WIDTH, _WIDTH)
        yield f"blk.{block}.ffn_gate.weight", _noise(numbers, _FEED_FORWARD, _WIDTH)
        yield f"blk.{block}.ffn_up.weight", _noise(numbers, _FEED_FORWARD, _WIDTH)
        yield f"blk.{block}.ffn_down.weight", _noise(numbers, _WIDTH, _FEED_FORWARD)
        for part in ("attn_norm", "ffn_norm"):
            yield f"blk.{block}.{part}.weight", np.ones(_WIDTH)


def _output(embedding: _Array, numbers: np.random.Generator) -> _Array:
    """The output matrix: each word makes the next one likely; the last one ends the text or closes a JSON string."""
    vocabulary = len(embedding)
    output = _noise(numbers, vocabulary, _WIDTH)
    output[:, 0] = 0
    output[:_FIRST_WORD, 0] = _OTHER_BIAS
    output[_FIRST_WORD, 0] = _FIRST_WORD_BIAS
    last = vocabulary - 1
    for word in range(_FIRST_WORD, last):
        output[word + 1, 1:] += _NEXT_WORD_GAIN * embedding[word, 1:]
    output[_END, 1:] += 3 * _NEXT_WORD_GAIN * embedding[last, 1:]
    output[_QUOTE, 1:] += 2 * _NEXT_WORD_GAIN * embedding[last, 1:]  # in free text the end outweighs it
    return output


def _write_vision_model(path: Path, numbers: np.random.Generator) -> None:
    writer = _writer(path, "clip")
    writer.add_bool("clip.has_text_encoder", False)
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_bool("clip.has_llava_projector", True)
    writer.add_bool("clip.use_gelu", False)
    writer.add_string("clip.projector_type", "mlp")
    for key, count in {
        "image_size": _IMAGE_PX,
        "patch_size": _PATCH_PX,
        "embedding_length": _WIDTH,
        "feed_forward_length": _FEED_FORWARD,
        "projection_dim": _WIDTH,
        "block_count": _BLOCKS,
        "attention.head_count": _HEADS,
    }.items():
        writer.add_uint32(f"clip.vision.{key}", count)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", _EPSILON)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    _add_tensors(writer, _vision_tensors(numbers))


def _vision_tensors(numbers: np.random.Generator) -> Iterator[tuple[str, _Array]]:
    yield "v.class_embd", _noise(numbers, _WIDTH)
    # A convolution kernel, which ggml takes in half precision.
    yield "v.patch_embd.weight", _noise(numbers, _WIDTH, 3, _PATCH_PX, _PATCH_PX).astype(np.float16)
    yield "v.position_embd.weight", _noise(numbers, _PATCHES + 1, _WIDTH)
    yield from _norm("v.pre_ln")
    yield from _norm("v.post_ln")
    for block in range(_BLOCKS):
        yield from _vision_block(f"v.blk.{block}", numbers)
    yield from _linear("mm.0", numbers, _WIDTH, _WIDTH)
    yield "mm.2.weight", _noise(numbers, _WIDTH, _WIDTH)
    # The same constant as the tokens have; without it an image would remove the biases.
    yield "mm.2.bias", np.concatenate([[_CONSTANT], _noise(numbers, _WIDTH - 1)])


def _vision_block(prefix: str, numbers: np.random.Generator) -> Iterator[tuple[str, _Array]]:
    yield from _norm(f"{prefix}.ln1")
    yield from _norm(f"{prefix}.ln2")
    for part in ("attn_q", "attn_k", "attn_v", "attn_out"):
        yield from _linear(f"{prefix}.{part}", numbers, _WIDTH, _WIDTH)
    yield from _linear(f"{prefix}.ffn_up", numbers, _FEED_FORWARD, _WIDTH)
    yield from _linear(f"{prefix}.ffn_down", numbers, _WIDTH, _FEED_FORWARD)


def _linear(name: str, numbers: np.random.Generator, out: int, into: int) -> Iterator[tuple[str, _Array]]:
    yield f"{name}.weight", _noise(numbers, out, into)
    yield f"{name}.bias", np.zeros(out)


def _norm(name: str) -> Iterator[tuple[str, _Array]]:
    yield f"{name}.weight", np.ones(_WIDTH)
    yield f"{name}.bias", np.zeros(_WIDTH)


def _noise(numbers: np.random.Generator, *shape: int) -> _Array:
    return numbers.normal(0, _NOISE, shape)


def _writer(path: Path, architecture: str) -> "GGUFWriter":
    try:
        from gguf import GGUFWriter
    except ImportError as error:
        raise OpsError("The tiny model needs `gguf`: run `pip install singletrack[embedded]`.") from error
    return GGUFWriter(path, architecture)


def _add_tensors(writer: "GGUFWriter", tensors: Iterator[tuple[str, _Array]]) -> None:
    """Add the tensors, half precision kept and all else in single, and write the file."""
    for name, values in tensors:
        half = values.dtype == np.float16
        writer.add_tensor(name, np.ascontiguousarray(values if half else values.astype(np.float32)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
