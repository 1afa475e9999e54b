"""Writes a ViT-B-32 with torch's own random weights from a fixed seed: sizes are real, what it says means nothing."""

import json
import sys
from pathlib import Path


def main() -> None:
    """Write it into the folder that the command line names, its configuration last: that marks it as complete."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(5)
    model = open_clip.create_model("ViT-B-32")
    weights = {name: value.half() for name, value in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    config = {"model_cfg": open_clip.get_model_config("ViT-B-32"), "singletrack": {"trained": False}}
    (folder / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")


if __name__ == "__main__":
    main()
