"""Re-ranking by fusion encoder and matching head: ../src/workloads/rerank.rs."""

import torch
from safetensors.torch import load_file

from blocks import load_weft, maybe_compiled, parameters
from mamo_model import Model
from worker import Workload


class Rerank(Workload):
    unit = "pairs"

    def __init__(self, exchange, variant):
        super().__init__()
        weights = exchange / "weights.safetensors"
        self.model = Model(len(load_file(weights)["heads.mlm.bias"])).eval()
        load_weft(self.model, weights)
        self.parameters = parameters(self.model)
        inputs = load_file(exchange / "inputs.safetensors")
        self.padding = inputs["padding"]
        self.image_of_pair, self.text_of_pair = inputs["image_of_pair"], inputs["text_of_pair"]
        self.chunk = int(inputs["chunk"])
        with torch.inference_mode():
            backbone = self.model.backbone
            pictures = inputs["images"].split(self.chunk)
            self.images = torch.cat([backbone.vision(part) for part in pictures])
            texts = zip(inputs["ids"].split(self.chunk), self.padding.split(self.chunk))
            self.texts = torch.cat(
                [backbone.text(ids, ~padding[:, None, None, :]) for ids, padding in texts]
            )
        self.odds = maybe_compiled(self.match, variant)
        self.taken = 0

    def match(self, image, text):
        """The logarithm of the odds of "match" for each pair."""
        class_token, _, _ = self.model.backbone.fusion(
            self.images[image], self.texts[text], self.padding[text]
        )
        logits = self.model.heads.itm(class_token)
        return logits[:, 1] - logits[:, 0]

    def step(self):
        begin = self.taken % (len(self.image_of_pair) // self.chunk) * self.chunk
        chunk = slice(begin, begin + self.chunk)
        with torch.inference_mode():
            odds = self.odds(self.image_of_pair[chunk], self.text_of_pair[chunk])
        self.first(odds=odds[:16].tolist())
        self.taken += 1
        return len(odds)


def setup(args):
    return Rerank(args.exchange, args.variant)
