"""Which CLIP weights are meant (checked in the worker), and how they become a model (in the child).

Nothing imports torch before `load_clip` is called: torch never enters the worker.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from singletrack_tasks.errors import ClipUnavailable, InvalidConfiguration
from singletrack_tasks.payload.images import PREPARATION
from singletrack_tasks.status import ClipModel, ResizeMode

if TYPE_CHECKING:
    import torch

LOCAL_DIR = "local-dir:"
CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"

_OFFLINE = (
    f"Without a network, give the weights as `{LOCAL_DIR}/folder`, with `{CONFIG_FILE}` and `{WEIGHTS_FILE}` in it."
)
# The one buffer that a checkpoint does not hold, in the plain CLIP of open_clip.
_MASK = "attn_mask"


@dataclass(frozen=True)
class WeightsSpec:
    """Where weights come from: a folder, or one of open_clip's architectures with one of its tags."""

    architecture: str = ""
    tag: str = ""
    folder: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `ARCHITECTURE/TAG` or `local-dir:/folder`; raises `InvalidConfiguration`."""
        if text.startswith(LOCAL_DIR):
            folder = text.removeprefix(LOCAL_DIR).strip()
            if folder:
                return cls(folder=Path(folder).expanduser())
        else:
            architecture, _, tag = text.strip().partition("/")
            if architecture and tag and "/" not in tag and ":" not in text:
                return cls(architecture, tag)
        raise InvalidConfiguration(
            "CLIP weights are given as ARCHITECTURE/TAG, such as `ViT-B-32/laion2b_s34b_b79k`, or as "
            f"`{LOCAL_DIR}/folder`, not as {text!r}"
        )

    @property
    def name(self) -> str:
        """What the model is called in a status."""
        return self.folder.resolve().name if self.folder else f"{self.architecture}/{self.tag}"

    @property
    def open_clip_name(self) -> str:
        """What open_clip calls the architecture."""
        return f"{LOCAL_DIR}{self.folder}" if self.folder else self.architecture


@dataclass(frozen=True)
class ClipNetwork:
    """A model in fp32 on the CPU, its weights rounded to fp16, and what its inputs need."""

    module: Any  # open_clip has no annotations
    tokenizer: Callable[..., "torch.Tensor"]  # of a list of texts, and optionally with a `context_length`
    mean: tuple[float, ...]
    std: tuple[float, ...]
    model: ClipModel


def load_clip(spec: WeightsSpec, resize_mode: ResizeMode) -> ClipNetwork:
    """Load a model; raises `ClipUnavailable`, which says what to do."""
    try:
        import open_clip
        from safetensors import SafetensorError
    except ImportError as error:
        raise ClipUnavailable(
            f"CLIP needs torch and open_clip: `pip install 'singletrack[worker]'` ({error})"
        ) from error
    try:
        config = _config(spec)
        module = _module(spec, config)
        tokenizer = open_clip.get_tokenizer(spec.open_clip_name)
    except ClipUnavailable:
        raise
    # What open_clip, torch and safetensors raise for files that are missing, cut short, or do not fit together.
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise ClipUnavailable(
            f"the CLIP weights {spec.name!r} cannot be loaded: {type(error).__name__}: {str(error).rstrip('.')}. "
            f"{_OFFLINE}"
        ) from error
    weights = _round_to_fp16(module, spec)
    model = _describe(spec, config, module, weights, resize_mode)
    mean, std = _normalisation(module)
    return ClipNetwork(module, tokenizer, mean, std, model)


def _config(spec: WeightsSpec) -> Mapping[str, Any]:
    """The whole configuration: `model_cfg` at least."""
    if spec.folder is None:
        return {"model_cfg": _tag_config(spec)}
    file = spec.folder / CONFIG_FILE
    if not file.is_file():
        raise ClipUnavailable(f"there is no {file}. {_OFFLINE}")
    config = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(config, dict) or "model_cfg" not in config:
        raise ClipUnavailable(f"{file} has no `model_cfg`: it is not in open_clip's format. Export the model again.")
    return config


def _tag_config(spec: WeightsSpec) -> Mapping[str, Any]:
    import open_clip

    config: Mapping[str, Any] | None = open_clip.get_model_config(spec.architecture)
    tags: list[str] = open_clip.list_pretrained_tags_by_model(spec.architecture)
    if config is None or spec.tag not in tags:
        known = f"It has these tags: {', '.join(tags)}." if tags else "See `open_clip.list_pretrained()`."
        raise ClipUnavailable(f"open_clip has no weights {spec.name!r}. {known}")
    trained_with = bool(open_clip.get_pretrained_cfg(spec.architecture, spec.tag).get("quick_gelu", False))
    # open_clip only warns of it, and the embeddings are quietly wrong.
    if trained_with != bool(config.get("quick_gelu", False)):
        plain = spec.architecture.removesuffix("-quickgelu")
        right = f"{plain}-quickgelu" if trained_with else plain
        raise ClipUnavailable(
            f"the weights {spec.tag!r} were trained {'with' if trained_with else 'without'} quick-GELU, and "
            f"{spec.architecture!r} computes the other way. Set `{right}/{spec.tag}`."
        )
    return config


def _module(spec: WeightsSpec, config: Mapping[str, Any]) -> Any:
    import open_clip

    pretrained = {} if spec.folder else {"pretrained": spec.tag}
    checkpoint = _checkpoint(spec)
    module = None
    if checkpoint is not None and _is_plain(config["model_cfg"]):
        module = _fast_module(spec.open_clip_name, pretrained, checkpoint)
    if module is None:
        module = open_clip.create_model(spec.open_clip_name, require_pretrained=True, **pretrained)
    return module.eval().requires_grad_(False)


def _checkpoint(spec: WeightsSpec) -> Path | None:
    """The weights' file, if it is one in safetensors format."""
    import open_clip

    if spec.folder is not None:
        file = spec.folder / WEIGHTS_FILE
    else:
        file = Path(open_clip.download_pretrained(open_clip.get_pretrained_cfg(spec.architecture, spec.tag)))
    return file if file.suffix == ".safetensors" and file.is_file() else None


def _is_plain(model_config: Mapping[str, Any]) -> bool:
    """Whether it is open_clip's own CLIP, without towers from elsewhere that would load weights of their own."""
    return not (
        model_config.get("custom_text")
        or "timm_model_name" in model_config["vision_cfg"]
        or "hf_model_name" in model_config["text_cfg"]
    )


def _fast_module(name: str, pretrained: Mapping[str, str], checkpoint: Path) -> Any | None:
    """Build without the random numbers that a second later would be overwritten; None where that is not exact."""
    import open_clip
    import torch
    from safetensors.torch import load_file

    with torch.device("meta"):
        module = open_clip.create_model(name, load_weights=False, device="meta", **pretrained)
    weights = load_file(checkpoint)
    shapes = {key: value.shape for key, value in module.state_dict().items()}
    if shapes != {key: value.shape for key, value in weights.items()}:
        return None
    module.load_state_dict({key: value.float() for key, value in weights.items()}, assign=True)
    missing = [key for key, value in module.named_buffers() if value.is_meta]
    if missing == [_MASK]:
        length = module.context_length
        module.attn_mask = torch.full((length, length), float("-inf")).triu_(1)
        missing = []
    return None if missing else module


def _round_to_fp16(module: Any, spec: WeightsSpec) -> "dict[str, torch.Tensor]":
    """Give every device the same weights, those that fp16 can hold; returns them by name, in fp16."""
    import torch

    halves: dict[str, torch.Tensor] = {}
    for name, value in module.state_dict().items():
        if not value.is_floating_point():
            halves[name] = value
            continue
        halves[name] = value.half()
        value.copy_(halves[name])
        # The extremes tell, NaN included, in a thirtieth of the time of looking at every number with `isfinite`.
        if not all(bool(torch.isfinite(extreme)) for extreme in torch.aminmax(halves[name])):
            raise ClipUnavailable(
                f"the weights {spec.name!r} hold numbers in {name} that do not fit in fp16. Choose others."
            )
    return halves


def _describe(
    spec: WeightsSpec,
    config: Mapping[str, Any],
    module: Any,
    weights: "Mapping[str, torch.Tensor]",
    resize_mode: ResizeMode,
) -> ClipModel:
    size = module.visual.preprocess_cfg["size"]
    height, width = (size, size) if isinstance(size, int) else size
    if height != width:
        raise ClipUnavailable(
            f"the weights {spec.name!r} take images of {height} x {width}, and only squares are supported"
        )
    inputs = [resize_mode.value, *_normalisation(module), width, PREPARATION]
    return ClipModel(
        name=spec.name,
        fingerprint=_fingerprint(weights, [config["model_cfg"], inputs]),
        dimension=config["model_cfg"]["embed_dim"],
        image_size=width,
        resize_mode=resize_mode,
        context_length=module.context_length,
        trained=bool(config.get("singletrack", {}).get("trained", True)),
    )


def _normalisation(module: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The mean and the standard deviation of the pixels that the model was trained on, by channel."""
    preparation = module.visual.preprocess_cfg
    return tuple(map(float, preparation["mean"])), tuple(map(float, preparation["std"]))


def _fingerprint(weights: "Mapping[str, torch.Tensor]", rest: Any) -> str:
    """Name the fp16 weights, the architecture and the preparation of inputs together: 16 hexadecimal digits."""
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    for name, value in sorted(weights.items()):
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(value.contiguous().numpy().data)
    return digest.hexdigest()[:16]
