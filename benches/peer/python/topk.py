"""Exact nearest neighbours by cosine: ../src/workloads/topk.rs."""

import torch
from safetensors.torch import load_file

from worker import Workload


class TopK(Workload):
    unit = "queries"

    def __init__(self, exchange, chunk):
        super().__init__()
        inputs = load_file(exchange / "inputs.safetensors")
        self.queries, self.candidates = inputs["queries"], inputs["candidates"]
        self.chunk = chunk or len(self.queries)

    def step(self):
        with torch.inference_mode():
            found = torch.cat(
                [(q @ self.candidates.T).topk(10).indices for q in self.queries.split(self.chunk)]
            )
        self.first(indices=found[:16].sum(1).tolist())
        return len(found)


def setup(args):
    chunk = 0 if args.variant == "whole" else int(args.variant.removeprefix("chunk-"))
    return TopK(args.exchange, chunk)
