// uPlot is loaded with this file, when a chart is to be seen.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { resolve } from './colours';
import type { View } from './history';

export function draw(target: HTMLElement, view: View, height: number): uPlot {
  const tones = view.series.map(({ tone }) => `var(--${tone})`);
  const fills = tones.map((tone) => `color-mix(in srgb, ${tone} 16%, transparent)`);
  const strokes = resolve(target, tones);
  const areas = resolve(target, fills);
  const [ink, line] = resolve(target, ['var(--muted)', 'var(--line)']);
  const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  return new uPlot(
    {
      width: Math.max(200, target.clientWidth),
      height,
      legend: { show: false },
      cursor: { show: false },
      scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.15)] } },
      axes: [
        { ...axis, space: 70, values: (_, ticks) => ticks.map(time) },
        { ...axis, size: 56, values: (_, ticks) => ticks.map(short) },
      ],
      series: [
        {},
        ...view.series.map(({ name }, i) => ({
          label: name,
          stroke: strokes[i],
          width: 2,
          dash: i > 0 ? [6, 4] : undefined,
          fill: i > 0 ? undefined : areas[i],
          points: { show: false },
        })),
      ],
    },
    [[], ...view.series.map(() => [])],
    target,
  );
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

function time(seconds: number): string {
  return clock.format(seconds * 1000);
}

function short(n: number): string {
  return compact.format(n);
}
