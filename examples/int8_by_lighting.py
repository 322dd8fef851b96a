"""What INT8 costs in each lighting, as a picture, from what a bundle itself tells.

python examples/int8_by_lighting.py eye8.canthus int8.png
"""

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import canthus


def main(bundle: str, picture: str) -> None:
    calibration = canthus.read_bundle(bundle).manifest.calibration
    if calibration is None or not calibration.costs:
        sys.exit(f"{bundle}: isn't in INT8, or nothing was measured; canthus export --precision int8 --see SEE does")
    figure, (same, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for place, cost in enumerate(calibration.costs.values()):
        low, high = cost.agreement_low or cost.agreement, cost.agreement_high or cost.agreement
        reach = [[max(cost.agreement - low, 0)], [max(high - cost.agreement, 0)]]
        same.errorbar(place, cost.agreement, reach, fmt="o", color="#042c95", capsize=4)
        right.bar(place - 0.2, cost.uar, 0.35, color="#9a9a94", label=None if place else "float32")
        right.bar(place + 0.2, cost.uar_int8, 0.35, color="#042c95", label=None if place else "INT8")
    same.axhline(calibration.goal, color="#a8231b", linestyle=":", label=f"goal, {calibration.goal:g} %")
    same.set_title(
        f"the same answer as float32, %\n{calibration.layers} layers in INT8, {len(calibration.float_layers)} not"
    )
    right.set(title="unweighted average recall, %", ylim=(0, 119))
    right.legend(loc="upper right")
    same.legend(loc="lower right")
    for axes in (same, right):
        axes.set(xticks=range(len(calibration.costs)), xticklabels=calibration.costs)
    figure.savefig(picture, dpi=120)
    print(f"{picture}: {', '.join(f'{name} {cost.agreement:.1f} %' for name, cost in calibration.costs.items())}")


if __name__ == "__main__":
    main(*sys.argv[1:])
