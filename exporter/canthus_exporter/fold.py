"""The network, folded: every weight that can be multiplied into its neighbour is, and no answer changes.

The five parts that `fold` gives are what devices run. Each identity is exact in real arithmetic (batch norm into
convolutions, attention over one token into one matrix, a focal expert into its centre tap, a deep expert into
one matrix, and linear maps into the linear maps that follow); products are formed in float64. That the result
answers as the unfolded network does is measured by `verify`, not assumed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from canthus.parts import HEAD
from canthus_exporter.fold_head import FoldedExperts, FoldedFusion, FoldedMamba
from canthus_model.config import TOKEN_WIDTH
from canthus_model.encoder import BasicBlock, Encoder
from canthus_model.network import MCOENet


def fold_batch_norm(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution with a bias that does what both did, in evaluation mode."""
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    folded = nn.utils.skip_init(
        nn.Conv2d,
        convolution.in_channels,
        convolution.out_channels,
        convolution.kernel_size,
        convolution.stride,
        convolution.padding,
    )
    folded.weight.data = (convolution.weight.double() * scale[:, None, None, None]).float()
    folded.bias.data = (norm.bias.double() - norm.running_mean.double() * scale).float()
    return folded


class FoldedBlock(nn.Module):
    def __init__(self, block: BasicBlock) -> None:
        super().__init__()
        self.conv1 = fold_batch_norm(block.conv1, block.bn1)
        self.conv2 = fold_batch_norm(block.conv2, block.bn2)
        self.shortcut = nn.Identity() if block.downsample is None else fold_batch_norm(*block.downsample)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv2(F.relu(self.conv1(x))) + self.shortcut(x))


class FoldedEncoder(nn.Module):
    """Raw images (B, H, W) uint8 to features (B, config.features).

    The three equal input channels and the normalisation are in the first convolution. Its padding is zero in
    normalised space, that is the mean in raw space: so the mean is taken off first.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        resnet, normalisation = encoder.resnet, encoder.normalisation
        self.register_buffer("mean", torch.tensor(255 * normalisation.mean))
        self.conv1 = fold_batch_norm(resnet.conv1, resnet.bn1)
        grey = self.conv1.weight.double().sum(1, keepdim=True) / (255 * normalisation.std)
        self.conv1.weight.data = grey.float()
        layers = (resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4)
        self.blocks = nn.Sequential(*(FoldedBlock(block) for layer in layers for block in layer))
        self.fc = resnet.fc

    def forward(self, image: Tensor) -> Tensor:
        x = image.to(torch.float32).unsqueeze(1) - self.mean
        x = F.max_pool2d(F.relu(self.conv1(x)), 3, 2, 1)
        return self.fc(self.blocks(x).mean((2, 3)))


class FoldedHead(nn.Module):
    """The features of both moments, (B, features) each, to an answer.

    `first_frame, first_event, last_frame, last_event` to `logits` (B, 7), `probabilities` (B, 7) and `experts` (B, 8),
    the weights of the two experts that answered, else 0.
    """

    def __init__(self, network: MCOENet) -> None:
        super().__init__()
        self.mamba = FoldedMamba(network.MCO.cross_matrix_mamba)
        self.fusion = FoldedFusion(network.MCIB, network.fusion_proj[0])
        self.experts = FoldedExperts(network.moe)

    def forward(
        self, first_frame: Tensor, first_event: Tensor, last_frame: Tensor, last_event: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        frame_tokens = torch.cat((first_frame, last_frame), 1).unflatten(1, (-1, TOKEN_WIDTH))
        event_tokens = torch.cat((first_event, last_event), 1).unflatten(1, (-1, TOKEN_WIDTH))
        tokens = torch.cat((frame_tokens, event_tokens), 2)
        logits, weights = self.experts(self.fusion(self.mamba(tokens)))
        return logits, logits.softmax(-1), weights


def fold(network: MCOENet) -> nn.ModuleDict:
    """The folded network, in evaluation mode, by part."""
    encoders = {
        "first_frame": network.res00,
        "first_event": network.res10,
        "last_frame": network.res01,
        "last_event": network.res11,
    }
    parts = {part: FoldedEncoder(encoder) for part, encoder in encoders.items()}
    return nn.ModuleDict({**parts, HEAD: FoldedHead(network)}).eval()
