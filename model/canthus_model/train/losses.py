"""What is made small beside the published loss, so that a network uses both modalities and all of its experts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from canthus.parts import EVENT_ENCODERS, FRAME_ENCODERS
from canthus_model.config import EXPERTS, EXPERTS_USED, NetworkConfig

_MODALITIES = {"frame": FRAME_ENCODERS, "event": EVENT_ENCODERS}


class Readouts(nn.Module):
    """A linear layer for each modality, that tells the label from the features of its two encoders alone.

    Where one modality tells most labels, the joint loss alone lets the other one's encoders learn nothing; with a loss
    of its own each learns, whatever the other does (Peng et al. 2022, "Balanced Multimodal Learning via On-the-fly
    Gradient Modulation", says why; Wang et al. 2020, "What Makes Training Multi-Modal Classification Networks Hard?",
    adds such losses). They are thrown away with training: the network that is shipped is the published one.
    """

    def __init__(self, config: NetworkConfig, labels: int) -> None:
        super().__init__()
        self._layers = nn.ModuleDict({kind: nn.Linear(2 * config.features, labels) for kind in _MODALITIES})

    def loss(self, features: dict[str, Tensor], label: Tensor, shown: dict[str, Tensor]) -> Tensor:
        """Cross-entropy of both answers, added up; a clip counts for the modalities that it was shown with.

        Args:
            features: (B, F) of each encoder, as `MCOENet.encode` gives them.
            label: int64 (B,).
            shown: bool (B,) for "frame" and "event".
        """
        losses = []
        for kind, encoders in _MODALITIES.items():
            logits = self._layers[kind](torch.cat([features[name] for name in encoders], 1))
            losses.append((F.cross_entropy(logits, label, reduction="none") * shown[kind]).mean())
        return torch.stack(losses).sum()


def unbalance(router_logits: Tensor) -> Tensor:
    """1 where the router asks all experts equally often, up to EXPERTS / EXPERTS_USED where it asks always the same.

    The load-balancing loss of Switch Transformers (Fedus et al. 2021, arXiv 2101.03961, equations 4 to 6), for the
    best two.

    Args:
        router_logits: (B, 8).
    """
    probabilities = router_logits.softmax(-1)
    chosen = probabilities.topk(EXPERTS_USED, -1).indices
    share = F.one_hot(chosen, EXPERTS).to(probabilities.dtype).mean((0, 1))
    return EXPERTS * (share * probabilities.mean(0)).sum()
