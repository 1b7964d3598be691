"""PyTorch's side of the comparison: reads `WORKLOAD CALLS` from standard input, runs the workload so often and answers
with the seconds that it took. The first argument is the number of threads. Runs only on the CPU, without compilation,
as its tutorials write it."""

import sys
import time

import torch
from torch import nn

torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(1)


def numbers(*shape):
    length = 1
    for dim in shape:
        length *= dim
    return ((torch.arange(length) * 37 % 101 - 50.0) / 50.0).reshape(shape)


def trainer(net, inputs, targets, loss, optimizer):
    def step():
        optimizer.zero_grad(set_to_none=True)
        loss(net(inputs), targets).backward()
        optimizer.step()

    return step


def classes(net, inputs, optimizer):
    labels = torch.arange(inputs.shape[0]) % 10
    return trainer(net, inputs, labels, nn.CrossEntropyLoss(), optimizer)


def mlp(*widths):
    layers = []
    for fan_in, fan_out in zip(widths, widths[1:]):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def mlp_tiny():
    net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
    return trainer(net, numbers(32, 2), torch.zeros(32, 1), nn.MSELoss(), optimizer)


def mlp_digits():
    net = mlp(64, 64, 32, 10)
    return classes(net, numbers(32, 64), torch.optim.Adam(net.parameters()))


def mlp_mnist_sgd():
    net = mlp(784, 512, 10)
    return classes(net, numbers(128, 784), torch.optim.SGD(net.parameters(), 0.01))


def mlp_mnist_adam():
    net = mlp(784, 512, 10)
    return classes(net, numbers(128, 784), torch.optim.Adam(net.parameters()))


def cnn():
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    return classes(net, numbers(64, 1, 28, 28), torch.optim.Adam(net.parameters()))


class Block(nn.Module):
    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False), nn.BatchNorm2d(channels_out), nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False), nn.BatchNorm2d(channels_out),
        )  # fmt: skip
        self.shortcut = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet8():
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    return classes(net, numbers(32, 3, 32, 32), torch.optim.SGD(net.parameters(), 0.01, momentum=0.9))


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(28, 128)
        self.logits = nn.Linear(128, 10)

    def forward(self, x):
        return self.logits(self.lstm(x)[0][-1])


def lstm():
    net, inputs, labels = Lstm(), numbers(28, 64, 28), torch.arange(64) % 10
    return trainer(net, inputs, labels, nn.CrossEntropyLoss(), torch.optim.Adam(net.parameters()))


class Transformer(nn.Module):
    """One block that normalises before each part, between the embedding of 65 characters and their logits."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(65, 64)
        self.places = nn.Parameter(0.02 * torch.randn(32, 64))
        self.norms = nn.ModuleList([nn.LayerNorm(64) for _ in range(3)])
        self.queries_keys_values = nn.Linear(64, 3 * 64)
        self.attended = nn.Linear(64, 64)
        self.wide_and_narrow = nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 64))
        self.logits = nn.Linear(64, 65)

    def forward(self, tokens):
        x = self.embedding(tokens) + self.places
        parts = self.queries_keys_values(self.norms[0](x)).chunk(3, dim=-1)
        queries, keys, values = (part.reshape(16, 32, 4, 16).transpose(1, 2) for part in parts)
        mixed = nn.functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        x = x + self.attended(mixed.transpose(1, 2).reshape(16, 32, 64))
        x = x + self.wide_and_narrow(self.norms[1](x))
        return self.logits(self.norms[2](x)).reshape(-1, 65)


def transformer():
    net, tokens, labels = Transformer(), (torch.arange(512) % 10).reshape(16, 32), torch.arange(512) % 10
    return trainer(net, tokens, labels, nn.CrossEntropyLoss(), torch.optim.Adam(net.parameters()))


def product(m, n, k):
    a, b = numbers(m, k), numbers(k, n)
    out = torch.empty(m, n)
    return lambda: torch.mm(a, b, out=out)


OPTIMIZERS = {
    "sgd": lambda p, **how: torch.optim.SGD(p, 1e-3, **how),
    "momentum": lambda p, **how: torch.optim.SGD(p, 1e-3, momentum=0.9, **how),
    "nesterov": lambda p, **how: torch.optim.SGD(p, 1e-3, momentum=0.9, nesterov=True, **how),
    "adagrad": lambda p, **how: torch.optim.Adagrad(p, 1e-3, **how),
    "adadelta": lambda p, **how: torch.optim.Adadelta(p, 1e-3, **how),
    "rmsprop": lambda p, **how: torch.optim.RMSprop(p, 1e-3, **how),
    "adam": lambda p, **how: torch.optim.Adam(p, 1e-3, **how),
    "amsgrad": lambda p, **how: torch.optim.Adam(p, 1e-3, amsgrad=True, **how),
    "adamw": lambda p, **how: torch.optim.AdamW(p, 1e-3, **how),
    "adamax": lambda p, **how: torch.optim.Adamax(p, 1e-3, **how),
    "nadam": lambda p, **how: torch.optim.NAdam(p, 1e-3, **how),
    "radam": lambda p, **how: torch.optim.RAdam(p, 1e-3, **how),
    "rprop": lambda p, **how: torch.optim.Rprop(p, 1e-3, **how),
    "asgd": lambda p, **how: torch.optim.ASGD(p, 1e-3, **how),
}


def optimizer(name):
    """The update alone, of ten million parameters, by the for-loop implementation."""
    parameter = nn.Parameter(torch.full((2500, 4000), 0.5))
    parameter.grad = torch.full((2500, 4000), 1e-3)
    rule = OPTIMIZERS[name]([parameter], foreach=False)
    return rule.step


def workload(name):
    kind, *rest = name.split(":")
    if kind == "product":
        return product(*map(int, rest))
    if kind == "optimizer":
        return optimizer(*rest)
    return globals()[kind]()


def main():
    print("PyTorch", torch.__version__, flush=True)
    kept = {}
    for line in sys.stdin:
        name, calls = line.split()
        if name not in kept:
            if name.startswith("optimizer"):
                # One at a time: ten million parameters and their state are memory that others miss.
                kept.clear()
            kept[name] = workload(name)
        step = kept[name]
        step()
        start = time.perf_counter()
        for _ in range(int(calls)):
            step()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
