"""Take what inference needs out of a checkpoint: a third of its size, since the optimiser's state stays behind.

python examples/weights_only.py run/save_100.pth small.pth
"""

import sys

import torch

source, target = sys.argv[1:]
checkpoint = torch.load(source, map_location="cpu", weights_only=True)
torch.save({"epoch": checkpoint["epoch"], "state_dict": checkpoint["state_dict"]}, target)
