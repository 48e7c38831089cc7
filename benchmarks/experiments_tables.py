"""The page of benchmarks/experiments.py: figures of its record as tables, one for each theme."""

import math
from collections import defaultdict
from collections.abc import Iterable

from benchmarks.experiments_rows import DEFAULT, ROWS
from srgan.metrics.registry import TTF50, value_at

BIAS, BIAS_IN = "largest_bias_hu", "largest_bias_in"
SRRESNET = "SRResNet"  # what a GAN stage begins with
NEAR = {  # heads of columns: where a figure stands, and how it is written
    "PSNR lung, dB": ("psnr_db.lung", ".2f"),
    "PSNR mediast., dB": ("psnr_db.mediastinum", ".2f"),
    "SSIM lung": ("ssim.lung", ".4f"),
    "SSIM mediast.": ("ssim.mediastinum", ".4f"),
}
GAN = {
    **{head: NEAR[head] for head in list(NEAR)[:3]},
    "lung SD, HU": ("lung_texture_sd_hu", ".1f"),
    "flat SD, HU": ("flat_sd_hu", ".1f"),
    "NPS distance": ("nps_distance", ".3f"),
    "TTF50, 1/mm": (TTF50, ".3f"),
    "vessel, mm": ("vessel_mm", ".2f"),
    "edge, mm": ("edge_mm", ".2f"),
    "invented": ("invented_share", ".3f"),
    "RMSE, HU": ("rmse_hu", ".1f"),
    "bias, HU": (BIAS, "+.1f"),
}
KEPT = {path for path, _ in (NEAR | GAN).values()} | {"psnr_db.full", "ssim.full"}
HEAD = """# Experiments

Made by `python benchmarks/experiments.py --record` from `experiments.json`: no figure is typed by
hand. Any row runs again with

```
python benchmarks/experiments.py ../shared/ct ROW --split ../shared/ct/split.csv --record
```

Each table says what a row changes; `experiments_rows.py` has the defaults and what each setting
means. Scale 4, image noise. Networks train on the train patients of ../shared/ct at the default
range of noise. Validation patients judge them, at lambda 1700 and sigma 0.005: means over a
patient's slices, then over patients. The metrics of a GAN take long, so every second slice judges
it. Test patients take no part.

A row has the budget of its yardstick, in CPU seconds of one core (`time.process_time`), from the
end of the first step on. Other jobs ran on the machine; that changes CPU time a little, as they
share caches and memory. The first row of a table is the yardstick; in brackets: the difference
from it at the same budget and seed. Where a row ran with several seeds, figures and differences
are means, and the smallest and the largest difference follow. Of one seed, take no small
difference for one.

The networks are judged in the precision that they trained in: bfloat16 where the machine is fast
at it. The content loss has random VGG19 weights.
"""

SEEN = {  # by theme: what the tables show, in words
    "Patches and batches": "Larger patches, fewer of them, are worse at equal time. Half the batch "
    "makes no clear difference.",
    "Training data": "The tested noise alone gains little over a range of noise.",
    "Loss": "Mean squared error is worse in every column.",
    "Network": "SiLU is better in every column, though it makes fewer steps. Wide blocks and fused "
    "outputs gain less. One convolution to x4 makes more steps, and no better picture; twice the "
    "blocks make fewer, and no better one in 1000 s either.",
    "Updates": "Twice the learning rate is slightly worse.",
    "The paper's form": "A small initial scale and a larger rate together help much. It is still "
    "below bicubic (in the first table) after this budget.",
    "GAN: content loss": "Without it a step is cheaper, so there are more of them.",
    "GAN: texture and artefacts": "The texture loss brings lung texture, noise power and sharpness "
    "nearer to those of the normal dose, costs PSNR, and invents more. Alone it brings grain to "
    "flat tissue, and little sharpness.",
    "GAN: adversarial weight": "Beside the row gan-texture-0: three times the weight costs PSNR, "
    "and the noise power is no nearer to that of the normal dose.",
    "GAN: discriminator": "With spectral normalisation it changes little in so few steps.",
    "GAN: after 1000 s of pre-training": "More texture loss with less adversarial loss "
    "brings more grain to flat tissue, and invents more. The weight of the content loss changes "
    "little.",
    "GAN: the recipe before": "A lighter one makes three times the steps and changes the picture "
    "less. Without normalisation, detail times 40 makes it costly and inventive.",
}


def figures(measured: dict) -> dict[str, float | str]:
    """The figures that the record keeps, of one method's overall means. None is left out."""
    found = {path: value_at(measured, path) for path in sorted(KEPT - {BIAS})}
    found = {path: round(value, 5) for path, value in found.items() if value is not None}
    biases = measured.get("bias_by_tissue_hu") or {}
    biases = {tissue: value for tissue, value in biases.items() if value is not None}
    if biases:
        tissue = max(biases, key=lambda name: abs(biases[name]))
        found |= {BIAS: round(biases[tissue], 2), BIAS_IN: tissue}
    return found


def page(entries: list[dict]) -> str:
    """EXPERIMENTS.md. entries: of the record."""
    machines = sorted({f"- {e['made']}: {e['machine']}" for e in entries})
    now = "The program's defaults now: pre-training `{pretraining}`, GAN `{gan}`.".format(**DEFAULT)
    lines = [HEAD, now, "", "Machines:", "", *machines]
    by_row = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        by_row[entry["row"]][_budget(entry)].append(entry)
    for theme in dict.fromkeys(row.theme for row in ROWS.values()):
        lines += ["", f"## {theme}", "", *_section(theme, by_row)]
    return "\n".join(lines) + "\n"


def _budget(entry: dict) -> tuple[float, float]:
    """Core seconds in all, and those of them before the GAN stage."""
    row = ROWS[entry["row"]]
    start_s = row.settings().start_s if row.kind == "gan" else 0.0
    return start_s + entry["core_s"], start_s


def _section(theme: str, by_row: dict) -> list[str]:
    names = [name for name, row in ROWS.items() if row.theme == theme]
    yardstick = ROWS[names[-1]].beside
    lines = [SEEN[theme], ""] if theme in SEEN else []
    lines += _table(names, yardstick, by_row)
    if missing := [f"`{name}` ({ROWS[name].described()})" for name in names if not by_row[name]]:
        lines += [f"Not run yet: {', '.join(missing)}.", ""]
    return lines[:-1]


def _table(names: list[str], yardstick: str, by_row: dict) -> list[str]:
    """The rows that were run, after their yardstick at the same budgets; then what to read them by.

    Empty where none was run.
    """
    columns = GAN if ROWS[yardstick].kind == "gan" else NEAR
    run = [(name, *of) for name in names for of in sorted(by_row[name].items())]
    if not run:
        return []
    totals = {total for _, (total, _), _ in run}
    before = {of[0]: of for of in sorted(by_row[yardstick].items()) if of[0][0] in totals}
    run = [(yardstick, *of) for of in before.values()] + [of for of in run if of[0] != yardstick]
    by_total = {total: group for (total, _), group in before.values()}
    head = ["row", "changes", "core s", "seeds", "steps", *columns]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, budget, group in run:
        theirs = by_total.get(budget[0], []) if name != yardstick else []
        lines.append(_line(name, budget, group, theirs, columns))
    lines += [*_references(run, columns), ""]
    notes = [f"{name}: {e['note']}." for name, _, group in run for e in group if "note" in e]
    return [*lines, *notes, ""] if notes else lines


def _line(name: str, budget: tuple, group: list, yardstick: list, columns: dict) -> str:
    total, start_s = budget
    core_s = f"{start_s:g} + {total - start_s:g}" if start_s else f"{total:g}"
    steps = round(_mean(entry["steps"] for entry in group))
    cells = [f"`{name}`", ROWS[name].described(), core_s, len(group), steps]
    ours, theirs = ({e["seed"]: e["figures"] for e in of} for of in (group, yardstick))
    cells += [_cell(ours, theirs, *at) for at in columns.values()]
    return "| " + " | ".join(map(str, cells)) + " |"


def _cell(ours: dict[int, dict], theirs: dict[int, dict], path: str, form: str) -> str:
    """ "35.06 (-0.02)", of several seeds "35.06 (-0.02, -0.04 to +0.01)". By seed: the figures."""
    values = {seed: of[path] for seed, of in ours.items() if path in of}
    if not values:
        return ""
    if path == BIAS:
        worst = max(values, key=lambda seed: abs(values[seed]))
        return f"{values[worst]:{form}} {ours[worst][BIAS_IN]}"
    text, signed = f"{_mean(values.values()):{form}}", "+z" + form
    before = {seed: theirs[seed][path] for seed in values if path in theirs.get(seed, {})}
    if not before:
        return text
    changes = [values[seed] - before[seed] for seed in before]
    ends = f", {min(changes):{signed}} to {max(changes):{signed}}" if len(changes) > 1 else ""
    return f"{text} ({_mean(changes):{signed}}{ends})"


def _references(run: list[tuple], columns: dict) -> list[str]:
    """Bicubic; what the GANs of a table began with, and the normal dose."""
    found = {}
    for _, (_, start_s), group in run:
        for method, figures in group[0].get("beside", {}).items():
            found[f"{method} after {start_s:g} s" if method == SRRESNET else method] = figures
    lines = []
    for name, of in sorted(found.items()):
        cells = [name, "", "", "", "", *(_cell({0: of}, {}, *at) for at in columns.values())]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return math.fsum(values) / len(values)
