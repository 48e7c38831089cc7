"use strict";
// The viewers of the page. Each <figure class="viewer"> carries its pictures in a JSON block, so
// nothing is fetched. Without scripts, or in an old browser, the still pictures stay.

const HU_MIN = -1024;

// The inverse of viewer.pack: inflate, then put the high and the low bytes together.
async function unpack(text, [rows, columns]) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(inflated).arrayBuffer());
  const n = rows * columns;
  return Int16Array.from({ length: n }, (_, i) => (planes[i] << 8) | planes[n + i]);
}

// Each pixel repeated until the shape is reached.
function enlarge(values, [rows, columns], shape) {
  if (rows === shape[0]) return values;
  const factor = shape[0] / rows, large = new Int16Array(shape[0] * shape[1]);
  for (let i = 0, y = 0; y < shape[0]; y++) {
    const row = Math.floor(y / factor) * columns;
    for (let x = 0; x < shape[1]; x++, i++) large[i] = values[row + Math.floor(x / factor)];
  }
  return large;
}

const RED_TO_YELLOW = [[214, 40, 110], [255, 225, 80]];
const BLUE = [64, 156, 255], ORANGE = [255, 128, 20];

// The colour of a map's step, 1 to 255: red, green, blue, and how much of it (0 to 1).
function colour(step, diverging) {
  const t = (step - 1) / 254;
  if (diverging) {
    const signed = 2 * t - 1;
    return [...(signed < 0 ? BLUE : ORANGE), 0.95 * Math.abs(signed)];
  }
  const [a, b] = RED_TO_YELLOW;
  return [...a.map((c, k) => c + (b[k] - c) * t), 0.95 * Math.sqrt(t)];
}

const number = (value) => String(+value.toPrecision(4)).replace("-", "\u2212");

// The value of a map's step, as text; at an end it may lie beyond.
function mapped(step, [first, second]) {
  const value = number(+(first + ((step - 1) / 254) * (second - first)).toPrecision(2));
  if (step !== 1 && step !== 255) return value;
  return `${(step === 255) === second > first ? "\u2265" : "\u2264"} ${value}`;
}

class Viewer {
  constructor(figure) {
    this.figure = figure;
    this.data = JSON.parse(figure.querySelector("script").textContent);
    this.canvas = figure.querySelector("canvas");
    this.stage = figure.querySelector(".stage");
    this.unpacked = new Map(); // and error maps that were made
  }

  field(name) {
    return this.figure.querySelector(`[name="${name}"]`);
  }

  chosen(name) {
    return this.figure.querySelector(`[name="${name}-${this.figure.id}"]:checked`)?.value;
  }

  // HU of every pixel of the slice, as whole numbers; a promise.
  hu(name) {
    const found = this.data.pictures.find((picture) => picture.name === name);
    return this.once("hu " + name, async () => {
      const steps = await unpack(found.data, found.shape);
      return enlarge(steps, found.shape, this.data.shape).map((step) => step + HU_MIN);
    });
  }

  // {name, unit, ends, diverging, steps} of a map over a picture; null where there is none.
  async map(name, of) {
    if (!name) return null;
    const found = this.data.maps.find((map) => map.name === name && map.of === of);
    if (found) {
      found.steps = await this.once(`map ${name} ${of}`, async () =>
        enlarge(await unpack(found.data, found.shape), found.shape, this.data.shape));
      return found;
    }
    const first = this.data.pictures[0].name, high = this.data.error;
    if (name !== "error" || of === first) return null;
    const steps = await this.once("error " + of, async () => {
      const [hu, normal] = await Promise.all([this.hu(of), this.hu(first)]);
      return hu.map((value, i) => {
        const fraction = (value - normal[i] + high) / (2 * high);
        return 1 + Math.round(254 * Math.min(1, Math.max(0, fraction)));
      });
    });
    return { name, unit: "HU", ends: [-high, high], diverging: true, steps };
  }

  once(key, make) {
    if (!this.unpacked.has(key)) this.unpacked.set(key, make());
    return this.unpacked.get(key);
  }

  async start() {
    await this.choose();
    this.figure.classList.add("live");
    for (const part of this.figure.querySelectorAll("[hidden]:not(.legend)")) part.hidden = false;
    this.field("divide").addEventListener("input", () => this.draw());
    this.figure.addEventListener("change", () => this.choose());
    const drag = (event) => {
      this.read(event);
      if (event.type === "pointermove" && !event.buttons) return;
      if (event.type === "pointerdown") {
        this.stage.setPointerCapture(event.pointerId);
        if (event.pointerType === "touch") return; // it may be the start of a scroll
      }
      this.field("divide").value = Math.round(100 * this.place(event)[0]);
      this.draw();
    };
    for (const kind of ["pointerdown", "pointermove", "pointerup"]) {
      this.stage.addEventListener(kind, drag);
    }
  }

  // Unpack what is chosen, then draw.
  async choose() {
    const names = [this.field("before").value, this.field("after").value];
    const map = this.field("map").value;
    const asked = (this.asked = {});
    const halves = await Promise.all(names.map(async (name) =>
      ({ name, hu: await this.hu(name), map: await this.map(map, name) })));
    if (asked !== this.asked) return; // another choice was made meanwhile
    this.halves = halves;
    const whole = this.data.shape.map((n) => [0, n]);
    this.part = this.chosen("part") === "detail" ? this.data.detail : whole;
    this.window = this.chosen("window");
    this.stage.classList.toggle("enlarged", this.part !== whole);
    this.describe(map);
    this.draw();
  }

  draw() {
    const [[top, bottom], [first, last]] = this.part;
    const [rows, columns] = [bottom - top, last - first];
    const [low, high] = this.data.windows[this.window];
    const share = this.field("divide").value / 100, cut = Math.round(share * columns);
    if (this.canvas.width !== columns || this.canvas.height !== rows) {
      Object.assign(this.canvas, { width: columns, height: rows });
    }
    const context = this.canvas.getContext("2d");
    const image = context.createImageData(columns, rows), out = image.data;
    const ramps = this.halves.map(({ map }) =>
      map && Array.from({ length: 256 }, (_, step) => (step ? colour(step, map.diverging) : null)));
    for (let j = 0, y = 0; y < rows; y++) {
      const row = (top + y) * this.data.shape[1] + first;
      for (let x = 0; x < columns; x++, j += 4) {
        const k = x < cut ? 0 : 1, half = this.halves[k];
        const grey = (255 * (half.hu[row + x] - low)) / (high - low); // clamped when it is stored
        const tint = ramps[k] && ramps[k][half.map.steps[row + x]];
        const shown = Math.min(255, Math.max(0, grey));
        for (let c = 0; c < 3; c++) {
          out[j + c] = tint ? shown + (tint[c] - shown) * tint[3] : grey;
        }
        out[j + 3] = 255;
      }
    }
    context.putImageData(image, 0, 0);
    this.stage.style.setProperty("--divide", `${100 * share}%`);
  }

  // What is shown, in words, and the map's colours.
  describe(map) {
    const [left, right] = this.halves, slide = this.field("divide");
    this.stage.querySelector(".left").textContent = left.name;
    this.stage.querySelector(".right").textContent = right.name;
    const over = map ? `, with the ${map} map` : "";
    this.canvas.setAttribute(
      "aria-label",
      `${left.name} on the left, ${right.name} on the right, ${this.window} window${over}`,
    );
    slide.setAttribute("aria-label", `Divide between ${left.name} and ${right.name}`);
    const legend = this.figure.querySelector(".legend");
    legend.hidden = !map;
    const shown = (right.map ?? left.map), without = this.halves.filter((half) => !half.map);
    legend.replaceChildren();
    if (shown) {
      const stops = [1, 64, 128, 192, 255].map((step) => {
        const [r, g, b, a] = colour(step, shown.diverging);
        return `rgb(${r} ${g} ${b} / ${a})`;
      });
      const ramp = document.createElement("span");
      ramp.className = "ramp";
      ramp.style.backgroundImage = `linear-gradient(to right, ${stops.join()})`;
      const ends = shown.ends.map(number);
      legend.append(`${shown.name}, ${shown.unit}: ${ends[0]} `, ramp, ` ${ends[1]} `);
    }
    const names = without.map((half) => half.name).join(", ");
    if (names) legend.append(`(no ${map} map of ${names})`);
  }

  // Fractions of the stage from its left and from its top.
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const inside = (value) => Math.min(1, Math.max(0, value));
    return [
      inside((event.clientX - box.left) / box.width),
      inside((event.clientY - box.top) / box.height),
    ];
  }

  // The values of the pixel under the pointer.
  read(event) {
    const [across, down] = this.place(event), [[top, bottom], [first, last]] = this.part;
    const row = Math.min(bottom - 1, Math.floor(top + down * (bottom - top)));
    const column = Math.min(last - 1, Math.floor(first + across * (last - first)));
    const values = this.halves.map(({ name, hu, map }) => {
      const step = map ? map.steps[row * this.data.shape[1] + column] : 0;
      const more = step ? ` (${map.name} ${mapped(step, map.ends)})` : "";
      return `${name} ${number(hu[row * this.data.shape[1] + column])} HU${more}`;
    });
    this.figure.querySelector(".values").textContent =
      `Row ${row + 1}, column ${column + 1}: ${values.join("; ")}`;
  }
}

for (const figure of document.querySelectorAll("figure.viewer")) {
  figure.viewer = new Viewer(figure);
  if (typeof DecompressionStream === "function") figure.viewer.start();
}
