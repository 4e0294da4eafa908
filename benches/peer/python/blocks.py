"""Transformer blocks with the parts and defaults of weft's, and the reading of weft's weights."""

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn


class Attention(nn.Module):
    """Queries, keys and values by one product, as timm has it."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, x, mask=None):
        batch, tokens, width = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.output(x.transpose(1, 2).reshape(batch, tokens, width))


class FeedForward(nn.Module):
    def __init__(self, width, hidden, output):
        super().__init__()
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, output)

    def forward(self, x):
        return self.contract(F.gelu(self.expand(x)))


class Block(nn.Module):
    def __init__(self, width, heads, pre, epsilon):
        super().__init__()
        self.pre = pre
        self.attention = Attention(width, heads)
        self.attention_norm = nn.LayerNorm(width, epsilon)
        self.feed_forward = FeedForward(width, 4 * width, width)
        self.feed_forward_norm = nn.LayerNorm(width, epsilon)

    def forward(self, x, mask=None):
        if self.pre:
            x = x + self.attention(self.attention_norm(x), mask)
            return x + self.feed_forward(self.feed_forward_norm(x))
        x = self.attention_norm(x + self.attention(x, mask))
        return self.feed_forward_norm(x + self.feed_forward(x))


class Stack(nn.Module):
    def __init__(self, width, depth, heads, pre, epsilon=1e-6):
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads, pre, epsilon) for _ in range(depth))
        self.norm = nn.LayerNorm(width, epsilon) if pre else nn.Identity()

    def forward(self, x, mask=None):
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x)


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@torch.no_grad()
def load_weft(module, path):
    """Fills `module` with the weights that weft wrote, all of them, by weft's names.

    Weft's linear layers are `[input, output]`, its norms have gamma and beta, and queries, keys
    and values are layers of their own.
    """
    weights = load_file(path)

    def take(name):
        if name not in weights:
            raise KeyError(f"{path} has no {name}")
        return weights.pop(name)

    for prefix, part in module.named_modules():
        for name, parameter in part.named_parameters(recurse=False):
            full = f"{prefix}.{name}" if prefix else name
            if isinstance(part, nn.LayerNorm):
                value = take(f"{prefix}.{'gamma' if name == 'weight' else 'beta'}")
            elif isinstance(part, nn.Linear) and prefix.endswith(".qkv"):
                parent = prefix.removesuffix(".qkv")
                split = [take(f"{parent}.{kind}.{name}") for kind in ("query", "key", "value")]
                value = torch.cat(split, dim=-1)
            else:
                value = take(full)
            if isinstance(part, nn.Linear) and name == "weight":
                value = value.T
            if value.shape != parameter.shape:
                raise ValueError(f"{full}: {tuple(value.shape)}, not {tuple(parameter.shape)}")
            parameter.copy_(value)
    if weights:
        raise ValueError(f"{path}: left over: {', '.join(sorted(weights)[:5])}")


def adamw(module, lr=1e-4, decay=0.02, betas=(0.9, 0.999)):
    """AdamW in one fused pass; biases, norms and the temperature do not decay."""
    matrices = [p for p in module.parameters() if p.ndim >= 2]
    others = [p for p in module.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=1e-8, fused=True)


def maybe_compiled(function, variant):
    return torch.compile(function) if variant == "compile" else function
