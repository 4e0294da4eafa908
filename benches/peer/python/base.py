"""A contrastive training step at base size: ../src/workloads/base.rs."""

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from blocks import adamw, load_weft, maybe_compiled, parameters
from encoders import ImageTower, TextTower
from worker import Workload

TEMPERATURE = 0.07


class Dual(nn.Module):
    def __init__(self):
        super().__init__()
        self.image = ImageTower()
        self.text = TextTower()

    def forward(self, pixels, ids, padding):
        logits = self.image(pixels) @ self.text(ids, padding).T / TEMPERATURE
        classes = torch.arange(len(pixels))
        return (F.cross_entropy(logits, classes) + F.cross_entropy(logits.T, classes)) / 2


class Base(Workload):
    unit = "pairs"

    def __init__(self, exchange, variant):
        super().__init__()
        self.model = Dual()
        load_weft(self.model, exchange / "weights.safetensors")
        inputs = load_file(exchange / "inputs.safetensors")
        self.inputs = inputs["pixels"], inputs["ids"], inputs["padding"]
        self.parameters = parameters(self.model)
        self.optimizer = adamw(self.model)
        self.loss = maybe_compiled(self.model, variant)

    def step(self):
        loss = self.loss(*self.inputs)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.first(loss=loss.item())
        return len(self.inputs[0])


def setup(args):
    return Base(args.exchange, args.variant)
