import html
import json
import re
import shutil
import subprocess

import pytest

from onehead_avl.report.__main__ import main

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-quic", "--virtual-time-budget=5000"),
)
PROBE = """<script nonce="probe">
addEventListener("load", () => {
  const page = document.documentElement, wide = [];
  for (const each of document.querySelectorAll("body *")) {
    const inside = each.closest(".wide, pre, svg");
    if ((!inside || inside === each) && each.getBoundingClientRect().right > innerWidth + 1) wide.push(each.tagName);
  }
  const images = [...document.images];
  parent.postMessage(JSON.stringify({
    width: innerWidth, scroll: page.scrollWidth, wide,
    images: images.length, seen: images.filter((each) => each.complete && each.naturalWidth > 0).length,
    loaded: performance.getEntriesByType("resource").map((each) => each.name.slice(0, 40)),
    ink: getComputedStyle(document.body).color, paper: getComputedStyle(document.body).backgroundColor,
    charts: [...document.querySelectorAll("figure.chart svg")].filter((each) => each.getBBox().width > 50).length,
  }), "*");
});
</script>"""
FRAME = """<!DOCTYPE html><script>addEventListener("message", (told) => document.title = told.data)</script>
<iframe src="page.html" width="{width}" height="900" style="border: 0"></iframe>"""

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


@pytest.fixture(scope="module")
def run_report(trained):
    return trained[0] / "report.html"


@pytest.fixture(scope="module")
def comparison_report(compared):
    return compared[0] / "report.html"


@pytest.fixture(params=["run_report", "comparison_report"])
def report(request):
    return request.getfixturevalue(request.param)


def opened(report, folder, width, scheme="light"):
    """What a browser makes of a page of some width: in a frame, since windows of Chromium have 500 pixels at least."""
    text = report.read_text()
    allowed = text.replace("style-src 'unsafe-inline'", "style-src 'unsafe-inline'; script-src 'nonce-probe'")
    assert allowed != text
    copy = folder / "page.html"
    copy.write_text(allowed.replace("</head>", f"{PROBE}</head>"))
    (folder / "frame.html").write_text(FRAME.format(width=width))
    dark = ("--blink-settings=preferredColorScheme=0",) if scheme == "dark" else ()
    command = [CHROMIUM, *OPTIONS, *dark, f"--user-data-dir={folder / 'profile'}", "--window-size=1600,1000"]
    made = subprocess.run(
        [*command, "--dump-dom", f"file://{folder / 'frame.html'}"], capture_output=True, text=True, timeout=120
    )
    title = re.search(r"<title>(.*?)</title>", made.stdout, re.DOTALL)
    assert title, made.stderr[-500:]
    return json.loads(html.unescape(title[1]))


@needs_chromium
@pytest.mark.parametrize("width", [400, 1400])
def test_in_a_browser_all_pictures_are_seen_nothing_overflows_and_nothing_is_loaded(report, tmp_path, width):
    text = report.read_text()
    found = opened(report, tmp_path, width)
    assert found["width"] == width
    assert found["scroll"] <= found["width"]
    assert found["wide"] == []
    assert found["images"] == found["seen"] == text.count("<img ") > 0
    assert found["charts"] == text.count("<svg ") >= 3
    assert all(name.startswith("data:") for name in found["loaded"])


def brightness(colour):
    """The relative luminance of a colour as WCAG 2.1 defines it, of ``rgb(r, g, b)``."""
    channels = [int(value) / 255 for value in re.findall(r"\d+", colour)]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@needs_chromium
def test_text_stands_out_in_the_dark_and_in_the_light(run_report, tmp_path):
    light, dark = (opened(run_report, tmp_path, 1000, scheme) for scheme in ("light", "dark"))
    for found in (light, dark):
        inks = sorted(brightness(found[name]) for name in ("ink", "paper"))
        assert (inks[1] + 0.05) / (inks[0] + 0.05) > 7  # level AAA
    assert brightness(light["paper"]) > 0.9 > 0.1 > brightness(dark["paper"])


def test_a_report_of_a_run_shows_everything_in_its_order(run_report):
    titles = re.findall(r"<h2>(.*?)</h2>", run_report.read_text())
    assert [html.unescape(title) for title in titles] == [
        *("Results", "Over the stages", "What was forgotten", "The same pictures after each stage", "Classes"),
        *("Mistakes", "Precision and recall", "What classes are taken for", "Training loss", "Cost"),
        *("The challenge's rules", "How it was made"),
    ]
    assert run_report.stat().st_size < 5e6


def test_the_values_are_those_of_the_results(run_report):
    text, results = run_report.read_text(), json.loads((run_report.parent / "results.json").read_text())
    for stage in results["stages"]:
        for metrics in stage["scores"].values():
            assert all(f">{value:.4f}</td>" in text for value in metrics.values() if value is not None)
    for rule in results["checklist"]:
        assert html.escape(rule["limit"]) in text
    config = json.loads((run_report.parent / "config.json").read_text())
    assert f"--seeds {config['seeds'][0]}" in text or config["seeds"] == [0]
    assert "python -m onehead_avl.benchmark --data" in text


def test_every_experience_has_its_pictures_after_each_of_its_stages(run_report):
    text = run_report.read_text()
    for name, stages in (("seg", 3), ("det", 2), ("cls", 1)):
        blocks = re.findall(rf"<h3>{name}: .*?</div>", text, re.DOTALL)
        assert len(blocks) == {"seg": 2, "det": 2, "cls": 3}[name]  # all there are
        assert all(block.count("<img ") == 1 + stages for block in blocks)


def test_a_comparison_shows_all_strategies_and_their_pictures(comparison_report):
    text = comparison_report.read_text()
    assert "<h1>Comparison: from-scratch, naive, replay</h1>" in text
    assert "in the end, with seed 0." in text
    (differences,) = re.findall(r"<h2>Against replay</h2>.*?</section>", text, re.DOTALL)
    assert re.findall(r"<tr><td>([\w-]+)</td>", differences) == ["from-scratch", "naive"]
    assert differences.count(" to ") == 6  # both strategies share two seeds with it
    (block,) = re.findall(r"<h3>seg: 2007_000000.*?</div>", text, re.DOTALL)
    assert re.findall(r"<figcaption>([\w-]+)", block) == ["annotation", "from-scratch", "naive", "replay"]
    assert comparison_report.stat().st_size < 5e6


def test_a_strategy_that_left_no_pictures_is_named(invoke, comparison_report, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(comparison_report.parent, folder)
    for file in folder.glob("from-scratch*/shown.npz"):
        file.unlink()
    assert invoke(main, folder).status == 0
    text = (folder / "report.html").read_text()
    assert "Without pictures, since they were computed before, by another command: from-scratch." in text
    (block,) = re.findall(r"<h3>seg: 2007_000000.*?</div>", text, re.DOTALL)
    assert re.findall(r"<figcaption>([\w-]+)", block) == ["annotation", "naive", "replay"]
    assert "Without pictures" not in comparison_report.read_text()


def test_a_report_is_made_anew_without_model_and_data(invoke, report, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(report.parent, folder)
    for file in [*folder.rglob("*.safetensors"), folder / "report.html"]:
        file.unlink()
    answer = invoke(main, folder)
    assert (answer.status, answer.out) == (0, f"written to {folder / 'report.html'}\n")
    assert (folder / "report.html").read_text() == report.read_text()


def test_folders_of_something_else_are_refused(invoke, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "none"):
        answer = invoke(main, tmp_path / folder)
        assert answer.status == 2
        assert f"found neither at {tmp_path / folder}" in answer.err
        assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("name", "fragment"), [("shown.npz", "expected the pictures of a run"), ("details.json", "cannot be read")]
)
def test_a_damaged_file_is_named(invoke, run_report, tmp_path, name, fragment):
    folder = tmp_path / "copy"
    shutil.copytree(run_report.parent, folder)
    before = run_report.read_bytes()
    (folder / name).write_bytes(b"\x00damaged")
    answer = invoke(main, folder)
    assert answer.status == 1
    assert str(folder / name) in answer.err
    assert fragment in answer.err
    assert (folder / "report.html").read_bytes() == before


def test_a_file_of_other_content_is_named(invoke, run_report, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(run_report.parent, folder)
    (folder / "details.json").write_text('{"seg": 1}')
    answer = invoke(main, folder)
    assert answer.status == 1
    assert f"{folder / 'details.json'}: expected the curves and confusions of a run" in answer.err
    assert "Traceback" not in answer.err


def test_a_run_that_lacks_its_values_over_time_is_named(invoke, run_report, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(run_report.parent, folder)
    (folder / "metrics.csv").unlink()
    answer = invoke(main, folder)
    assert answer.status == 1
    assert f"{folder / 'metrics.csv'}: expected the values of the run over time, found no such file" in answer.err


def test_a_run_that_lacks_its_pictures_has_a_report_of_the_rest(invoke, run_report, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(run_report.parent, folder)
    (folder / "shown.npz").unlink()
    (folder / "details.json").unlink()
    assert invoke(main, folder).status == 0
    text = (folder / "report.html").read_text()
    assert "<img " not in text
    assert "The same pictures" not in text
    assert "<h2>Results</h2>" in text
