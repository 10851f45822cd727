import onnxruntime
import torch

from onehead_avl.export import main


def test_saved_weights_become_a_file_for_others(invoke, trained, tmp_path):
    answer = invoke(main, "--weights", trained[0] / "model.safetensors", "--output", tmp_path / "model.onnx")
    assert answer == (0, f"written to {tmp_path / 'model.onnx'}, which says what the weights say\n", "loading torch\n")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    images = torch.zeros(1, 3, 64, 64, dtype=torch.uint8).numpy()
    assert {output.name for output in session.get_outputs()} >= {"seg_scores", "det_boxes", "cls_probabilities"}
    assert session.run(["seg_scores"], {"images": images})[0].shape == (1, 21, 64, 64)


def test_wrong_command_lines_are_refused(invoke, trained, tmp_path):
    weights = trained[0] / "model.safetensors"
    for arguments, fragment in (
        (("--weights", tmp_path / "none", "--output", tmp_path / "model.onnx"), "found no file at"),
        (("--weights", weights, "--output", tmp_path / "model.tflite"), "ends in .onnx or .pt2"),
    ):
        answer = invoke(main, *arguments)
        assert (answer.status, answer.out) == (2, "")
        assert fragment in answer.err
        assert "Traceback" not in answer.err
    assert not list(tmp_path.iterdir())
