"""Embedding pictures by ViT-B/16 and captions by BERT-base: ../src/workloads/embed.rs."""

import torch
from safetensors.torch import load_file

from blocks import load_weft, maybe_compiled, parameters
from encoders import ImageTower, TextTower
from worker import Workload


class Embed(Workload):
    def __init__(self, tower, inputs, unit, exchange, variant):
        super().__init__()
        load_weft(tower, exchange / "weights.safetensors")
        self.unit = unit
        self.parameters = parameters(tower)
        self.inputs = inputs
        self.forward = maybe_compiled(tower.eval(), variant)

    def step(self):
        with torch.inference_mode():
            embeddings = self.forward(*self.inputs)
        self.first(embedding=embeddings[0, :16].tolist())
        return len(embeddings)


def setup(args, side, batch):
    inputs = load_file(args.exchange / "inputs.safetensors")
    if side == "image":
        tower, inputs, unit = ImageTower(), [inputs["pixels"]], "pictures"
    else:
        tower, inputs, unit = TextTower(), [inputs["ids"], inputs["padding"]], "captions"
    assert len(inputs[0]) == int(batch)
    return Embed(tower, inputs, unit, args.exchange, args.variant)
