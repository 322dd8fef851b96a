"""Any Mamba network as one portable ONNX file; it need not have anything to do with eyes.

import canthus_exporter.mamba as mamba

with mamba.drop_in():  # only where mamba_ssm isn't installed
    from my_network import Network

mamba.export(Network().eval(), (torch.randn(1, 196, 192),), "network.onnx")
"""

from canthus_exporter.mamba.block import Mamba
from canthus_exporter.mamba.drop_in import drop_in
from canthus_exporter.mamba.export import Exported, export
from canthus_exporter.mamba.functions import selective_scan_fn as selective_scan
from canthus_exporter.mamba.functions import selective_scan_tokens_first

__all__ = ["Exported", "Mamba", "drop_in", "export", "selective_scan", "selective_scan_tokens_first"]
