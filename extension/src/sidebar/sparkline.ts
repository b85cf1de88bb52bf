/** A line of the last values, for the eye alone: the number beside it says the same. */

const SPACE = 'http://www.w3.org/2000/svg';
const WIDTH = 100;
const HEIGHT = 20;

export class Sparkline {
  readonly node: SVGSVGElement;
  private readonly line: SVGPolylineElement;
  private drawn = '';

  constructor() {
    this.node = document.createElementNS(SPACE, 'svg');
    this.node.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    this.node.setAttribute('preserveAspectRatio', 'none');
    this.node.setAttribute('class', 'gpl-Sparkline');
    this.node.setAttribute('aria-hidden', 'true');
    this.line = document.createElementNS(SPACE, 'polyline');
    this.node.append(this.line);
  }

  /** Draw from zero to the largest value; what was not measured is left out. */
  draw(values: readonly (number | null)[]): void {
    const most = Math.max(1e-9, ...values.map(value => value ?? 0));
    const step = WIDTH / Math.max(1, values.length - 1);
    const points = values
      .map((value, index) => [index * step, value] as const)
      .filter((pair): pair is readonly [number, number] => pair[1] !== null)
      .map(
        ([x, value]) => `${x.toFixed(1)},${(HEIGHT - 1 - (value / most) * (HEIGHT - 2)).toFixed(1)}`
      )
      .join(' ');
    if (points !== this.drawn) {
      this.line.setAttribute('points', points);
      this.drawn = points;
    }
  }
}
