"""A plugin of pytest, for 64-bit Arm under emulation: leaves out what can't run there, and says why."""

from pathlib import Path

import pytest

TORCH = "needs PyTorch"
MINUTES = "takes minutes there; make test runs it"
RENDERS = "renders for minutes, and not on a device"
BUILDS = "is about the machine that builds; make test runs it"
LEFT_OUT = {
    "test_architecture.py": BUILDS,
    "test_arm_code.py": BUILDS,
    "test_calibration.py": TORCH,
    "test_calibration_encoders.py": TORCH,
    "test_calibration_interval.py": TORCH,
    "test_calibration_subsets.py": TORCH,
    "test_calibration_trials.py": TORCH,
    "test_checkpoint.py": TORCH,
    "test_confidence.py": TORCH,
    "test_cuda_kernels.py": BUILDS,
    "test_demo_checkpoint.py": TORCH,
    "test_docs.py": BUILDS,
    "test_einsum.py": TORCH,
    "test_evaluate.py": TORCH,
    "test_eye_check.py": TORCH,
    "test_evaluate_ablation.py": TORCH,
    "test_evaluate_results.py": "needs Matplotlib",
    "test_evaluate_streams.py": RENDERS,
    "test_export.py": TORCH,
    "test_float16.py": TORCH,
    "test_int8_everywhere.py": "makes bundles, which needs onnx",
    "test_fold.py": TORCH,
    "test_forks.py": "is about the system's processes, which emulation has its own of",
    "test_mamba.py": TORCH,
    "test_mamba_also.py": TORCH,
    "test_mamba_command.py": TORCH,
    "test_mamba_export.py": TORCH,
    "test_mamba_heads.py": TORCH,
    "test_mamba_installed.py": TORCH,
    "test_mamba_stand_ins.py": TORCH,
    "test_modalities.py": TORCH,
    "test_monitor_page.py": "needs a browser",
    "test_network.py": TORCH,
    "test_openvino.py": "OpenVINO is for x86",
    "test_requirements.py": MINUTES,
    "test_see.py": TORCH,
    "test_see_decoding.py": TORCH,
    "test_selective_scan_torch.py": TORCH,
    "test_setup_page.py": "needs a browser",
    "test_ssd_onnx.py": TORCH,
    "test_synthesize_data_set.py": RENDERS,
    "test_synthesize_eye.py": RENDERS,
    "test_synthesize_recording.py": RENDERS,
    "test_synthesize_sensor.py": RENDERS,
    "test_synthesize_truth.py": RENDERS,
    "test_tensorrt_build.py": "TensorRT-RTX has no package for 64-bit Arm",
    "test_trace.py": TORCH,
    "test_train.py": TORCH,
    "test_train_command.py": TORCH,
    "test_train_losses.py": TORCH,
    "test_train_reseat.py": TORCH,
    "test_train_scarcity.py": TORCH,
    "test_train_validation.py": TORCH,
    "test_wheels.py": BUILDS,
}
SKIPPED = {
    "test_a_library_whose_addresses_are_not_its_offsets": "zig's linker places segments by another option",
    "test_a_live_stream_and_a_recording_agree_on_any_damage": MINUTES,
    "test_a_view_is_bit_identical_to_turning_frames_and_events_before": MINUTES,
    "test_run_takes_a_view_from_its_options_or_a_file": MINUTES,
}


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    return True if collection_path.name in LEFT_OUT else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if (name := getattr(item, "originalname", item.name)) in SKIPPED:
            item.add_marker(pytest.mark.skip(reason=SKIPPED[name]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("left out")
    for reason in sorted(set(LEFT_OUT.values())):
        names = ", ".join(name for name, why in LEFT_OUT.items() if why == reason)
        terminalreporter.write_line(f"{reason}: {names}")
