"""MAMO as the recipe `quick` has it: ../../../crates/{vision,text,fusion,model}."""

import torch
import torch.nn.functional as F
from torch import nn

from blocks import FeedForward, Stack
from encoders import TextEncoder, Vit, seen

WIDTH, HEADS, SIZE, PATCH, TOKENS, PROJECTED = 128, 4, 72, 18, 20, 128


class Fusion(nn.Module):
    """Self-attention over `[class; patches; words]`; the class token starts from the picture's."""

    def __init__(self):
        super().__init__()
        self.class_token = nn.Parameter(torch.empty(1, 1, WIDTH))
        self.stack = Stack(WIDTH, 2, HEADS, pre=True)

    def forward(self, image, text, padding):
        """Returns class token, patches and words."""
        front = image.shape[1]
        x = torch.cat([self.class_token + image[:, :1], image[:, 1:], text], 1)
        mask = seen(F.pad(padding, (front, 0), value=False))
        x = self.stack(x, mask)
        return x[:, 0], x[:, 1:front], x[:, front:]


class Backbone(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.vision = Vit(SIZE, PATCH, WIDTH, 4, HEADS)
        self.text = TextEncoder(vocabulary, TOKENS, 1, WIDTH, 2, HEADS, epsilon=1e-6)
        self.fusion = Fusion()
        self.image_projection = nn.Linear(WIDTH, PROJECTED)
        self.text_projection = nn.Linear(WIDTH, PROJECTED)

    def image_embedding(self, image):
        return F.normalize(self.image_projection(image[:, 0]), dim=-1)

    def text_embedding(self, text):
        return F.normalize(self.text_projection(text[:, 0]), dim=-1)


class MlmHead(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.transform = nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, 1e-12)
        self.bias = nn.Parameter(torch.empty(vocabulary))

    def forward(self, x, embeddings):
        return F.linear(self.norm(F.gelu(self.transform(x))), embeddings, self.bias)


class Heads(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.itm = nn.Linear(WIDTH, 2)
        self.mlm = MlmHead(vocabulary)
        self.mrm = FeedForward(WIDTH, 2 * WIDTH, WIDTH)
        self.mim = FeedForward(WIDTH, 2 * WIDTH, WIDTH)


class Model(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.backbone = Backbone(vocabulary)
        self.temperature = nn.Parameter(torch.empty(1))
        self.heads = Heads(vocabulary)
