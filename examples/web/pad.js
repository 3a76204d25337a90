// The square that is drawn in, and the image that the network takes of it: 28 × 28 numbers from 0 to 1, white on black,
// as those it was trained on: the digit 20 pixels high or wide, its centre of mass in the middle.

const SIZE = 28;
const BOX = 20;

/** A seven in strokes, as parts of the square. */
const SEVEN = [[[0.28, 0.26], [0.5, 0.25], [0.72, 0.27], [0.62, 0.48], [0.54, 0.64], [0.48, 0.8]]];

export class Pad {
  #context;
  #strokes = [];
  onChange = () => {};

  constructor(canvas) {
    this.canvas = canvas;
    this.#context = canvas.getContext('2d', { willReadFrequently: true });
    canvas.onpointerdown = (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#strokes.push([this.#place(event)]);
      this.#draw();
    };
    canvas.onpointermove = (event) => {
      if (!canvas.hasPointerCapture(event.pointerId)) return;
      this.#strokes.at(-1).push(this.#place(event));
      this.#draw();
    };
    canvas.onpointerup = () => this.onChange();
    canvas.onpointercancel = () => this.onChange();
    this.#draw();
  }

  #place({ clientX, clientY }) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [(clientX - left) / width, (clientY - top) / height];
  }

  #draw() {
    const { width, height } = this.canvas;
    const context = this.#context;
    context.fillStyle = '#000';
    context.fillRect(0, 0, width, height);
    strokes(context, this.#strokes, width, height, width / 13);
  }

  clear() {
    this.#strokes = [];
    this.#draw();
    this.onChange();
  }

  sample() {
    this.#strokes = SEVEN.map((stroke) => [...stroke]);
    this.#draw();
    this.onChange();
  }

  /** The image as a `Float32Array` of 784 numbers, row after row; nothing where nothing is drawn. */
  image() {
    const points = this.#strokes.flat();
    if (points.length === 0) return undefined;
    const range = (axis) => {
      const all = points.map((point) => point[axis]);
      return [Math.min(...all), Math.max(...all)];
    };
    const [[left, right], [top, bottom]] = [range(0), range(1)];
    // The pen's own width counts.
    const extent = Math.max(right - left, bottom - top, 0.08);
    const scale = (BOX - 2.4) / extent;
    const canvas = new OffscreenCanvas(SIZE, SIZE);
    const context = canvas.getContext('2d', { willReadFrequently: true });
    const draw = (dx, dy) => {
      context.fillStyle = '#000';
      context.fillRect(0, 0, SIZE, SIZE);
      const middle = (low, high) => (low + high) / 2;
      const place = ([x, y]) => [
        (x - middle(left, right)) * scale + SIZE / 2 + dx,
        (y - middle(top, bottom)) * scale + SIZE / 2 + dy,
      ];
      strokes(context, this.#strokes.map((stroke) => stroke.map(place)), 1, 1, 2.4);
      const { data } = context.getImageData(0, 0, SIZE, SIZE);
      return Float32Array.from({ length: SIZE * SIZE }, (_, i) => data[4 * i] / 255);
    };
    const first = draw(0, 0);
    let [mass, x, y] = [0, 0, 0];
    first.forEach((value, i) => {
      mass += value;
      x += value * (i % SIZE);
      y += value * Math.floor(i / SIZE);
    });
    if (mass === 0) return undefined;
    return draw(Math.round(SIZE / 2 - 0.5 - x / mass), Math.round(SIZE / 2 - 0.5 - y / mass));
  }
}

function strokes(context, all, width, height, line) {
  context.strokeStyle = '#fff';
  context.fillStyle = '#fff';
  context.lineWidth = line;
  context.lineCap = 'round';
  context.lineJoin = 'round';
  for (const stroke of all) {
    context.beginPath();
    stroke.forEach(([x, y], i) => (i ? context.lineTo(x * width, y * height) : context.moveTo(x * width, y * height)));
    // A point alone is a dot.
    if (stroke.length === 1) context.lineTo(stroke[0][0] * width + 0.01, stroke[0][1] * height);
    context.stroke();
  }
}
