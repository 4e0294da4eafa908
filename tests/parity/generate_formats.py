"""One model in the formats that a folder of weights can have.

Writes `formats/torch` (a BertModel as pytorch_model.bin), `formats/sharded` (the same in several
safetensors files with their index) and `formats/head` (the same under a masked-word head, as
published checkpoints often are). The model is the fixture `bert`; run generate_models.py first.

    python generate_formats.py
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertForMaskedLM, BertModel

HERE = Path(__file__).parent


def fresh(name):
    folder = HERE / "formats" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def main():
    source = HERE / "fixtures" / "bert"
    tensors = load_file(source / "model.safetensors")

    torch_folder = fresh("torch")
    shutil.copy(source / "config.json", torch_folder)
    torch.save(tensors, torch_folder / "pytorch_model.bin")

    config = BertConfig.from_pretrained(source)
    model = BertModel(config)
    model.load_state_dict(tensors)
    sharded = fresh("sharded")
    model.save_pretrained(sharded, max_shard_size="4KB")
    assert (sharded / "model.safetensors.index.json").exists()

    torch.manual_seed(0)
    with_head = BertForMaskedLM(config)
    with_head.bert.load_state_dict(tensors, strict=False)
    head = fresh("head")
    with_head.save_pretrained(head)
    for folder in (torch_folder, sharded, head):
        config = json.loads((folder / "config.json").read_text())
        print(folder.name, config["architectures"], sum(f.stat().st_size for f in folder.iterdir()))


if __name__ == "__main__":
    main()
