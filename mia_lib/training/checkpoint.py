"""The state of a run in one file, from which a killed run goes on."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

Group = dict[str, Tensor]
"""Tensors by name; in a file their names begin with the group's."""


def write_checkpoint(path: Path, groups: dict[str, Group], about: dict) -> None:
    """Write groups of tensors, and a JSON-serialisable description, in place of what is there."""
    tensors = {f"{group}.{name}": t.cpu().contiguous() for group, named in groups.items() for name, t in named.items()}
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, {"about": json.dumps(about), "sha256": _sha256(tensors)})
    temporary.replace(path)


def _sha256(tensors: Group) -> str:
    """Of all bytes: safetensors would read a flipped one back without a word."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(name.encode() + tensors[name].cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def read_checkpoint(path: Path | None, fingerprint: str, device: torch.device) -> tuple[dict[str, Group], dict] | None:
    """What `write_checkpoint` wrote for the run with this `fingerprint` in its description; None if there is nothing."""
    if path is None or not path.exists():
        return None
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            about = json.loads(file.metadata()["about"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            whole = file.metadata()["sha256"] == _sha256(tensors)
    except Exception:  # a damaged checkpoint only costs the time to train again
        return None
    if not whole or about["fingerprint"] != fingerprint:
        return None
    groups: dict[str, Group] = {}
    for place, tensor in tensors.items():
        group, _, name = place.partition(".")
        groups.setdefault(group, {})[name] = tensor
    return groups, about


def flat(weights: dict[int, Group]) -> Group:
    """The weights of some models as one group, the number of the model before each name."""
    return {f"{k}.{name}": tensor for k, own in weights.items() for name, tensor in own.items()}


def by_model(group: Group) -> dict[int, Group]:
    """What `flat` made one group of."""
    weights: dict[int, Group] = {}
    for whole, tensor in group.items():
        k, _, name = whole.partition(".")
        weights.setdefault(int(k), {})[name] = tensor
    return weights
