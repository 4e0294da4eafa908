"""A training step of an encoder as large as ViT-S with half its layers: ../src/workloads/encoder.rs."""

from safetensors.torch import load_file
from torch.nn import functional as F

from blocks import Stack, adamw, load_weft, maybe_compiled, parameters
from worker import Workload


class Encoder(Workload):
    def __init__(self, exchange, variant):
        super().__init__()
        self.stack = Stack(width=384, depth=6, heads=6, pre=True)
        load_weft(self.stack, exchange / "weights.safetensors")
        inputs = load_file(exchange / "inputs.safetensors")
        self.input, self.target = inputs["input"], inputs["target"]
        self.parameters = parameters(self.stack)
        self.optimizer = adamw(self.stack)
        self.loss = maybe_compiled(
            lambda x, target: F.mse_loss(self.stack(x), target), variant
        )

    def step(self):
        loss = self.loss(self.input, self.target)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.first(loss=loss.item())
        return len(self.input)


def setup(args):
    return Encoder(args.exchange, args.variant)
