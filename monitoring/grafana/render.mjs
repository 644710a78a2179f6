// Draws the dashboards without a Grafana: asks Prometheus what each panel asks, and writes one picture a dashboard (gnuplot).
// usage: node monitoring/grafana/render.mjs PROMETHEUS FOLDER [MINUTES]     e.g. http://127.0.0.1:9090 docs/monitoring 15
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pages } from './pages.mjs';

const [prometheus, folder, minutes = '15'] = process.argv.slice(2);
if (!prometheus || !folder || !(Number(minutes) > 0)) {
    console.error('usage: node render.mjs PROMETHEUS FOLDER [MINUTES]');
    process.exit(2);
}
const end = Math.floor(Date.now() / 1000);
const start = end - Math.round(Number(minutes) * 60);
const step = Math.max(1, Math.round((end - start) / 240));
const SERIES_MAX = 12; // a picture with more is none
const WIDTH = 460;
const HEIGHT = 210;
const suffixes = { bytes: 'B', Bps: 'B/s', s: 's', percentunit: '', reqps: 'req/s', cps: '/s', ops: '/s', short: '', none: '' };

async function series([expr, legend]) {
    const query = new URLSearchParams({ query: expr.replaceAll('$__rate_interval', `${Math.max(60, 4 * step)}s`), start, end, step });
    const response = await fetch(`${prometheus}/api/v1/query_range?${query}`);
    const body = await response.json();
    if (body.status !== 'success') throw new Error(`${expr}: ${body.error}`);
    return body.data.result.map(({ metric, values }) => ({
        name: (legend || '').replaceAll(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? ''),
        values: values.filter(([, value]) => Number.isFinite(Number(value))),
    }));
}

// gnuplot's strings in double quotes.
const quoted = (text) => `"${text.replaceAll(/[\\"`]/g, '\\$&')}"`;

async function draw(page, work) {
    const panels = page.rows.flatMap((row) => row.panels);
    const columns = 3;
    const rows = Math.ceil(panels.length / columns);
    const lines = [
        `set terminal pngcairo size ${columns * WIDTH},${rows * HEIGHT + 40} font "sans,8" noenhanced`,
        `set output ${quoted(path.join(folder, `${page.name}.png`))}`,
        `set multiplot layout ${rows},${columns} title ${quoted(page.title[0])} font "sans,13"`,
        'set xdata time', 'set timefmt "%s"', 'set format x "%H:%M"', `set xrange [${quoted(String(start))}:${quoted(String(end))}]`,
        'set key below samplen 1 font "sans,7"', 'set grid lc "#dddddd"', 'set yrange [0:*]', 'set offsets graph 0, graph 0, graph 0.1, graph 0', 'set format y "%.1s%c"',
    ];
    for (const panel of panels) {
        const all = (await Promise.all(panel.queries.map(series))).flat().filter(({ values }) => values.length > 0);
        all.sort((a, b) => Math.max(...b.values.map(([, v]) => Number(v))) - Math.max(...a.values.map(([, v]) => Number(v))));
        const shown = all.slice(0, SERIES_MAX);
        const unit = suffixes[panel.unit] ?? panel.unit;
        const more = all.length > shown.length ? `, ${shown.length} of ${all.length}` : '';
        lines.push(`set title ${quoted(`${panel.title[0]}${unit ? ` (${unit})` : ''}${more}`)}`);
        if (shown.length === 0) {
            lines.push('set label 1 "no data" at graph 0.5,0.5 center', 'plot 0 with lines lc "white" notitle', 'unset label 1');
            continue;
        }
        const plots = shown.map(({ name, values }, i) => {
            const file = path.join(work, `${page.name}-${lines.length}-${i}`);
            writeFileSync(file, values.map(([time, value]) => `${time} ${value}`).join('\n'));
            return `${quoted(file)} using 1:2 with lines lw 2 title ${quoted(name || panel.title[0])}`;
        });
        lines.push(`plot ${plots.join(', ')}`);
    }
    lines.push('unset multiplot');
    const { status, stderr } = spawnSync('gnuplot', ['-'], { input: `${lines.join('\n')}\n`, encoding: 'utf8' });
    if (status !== 0) throw new Error(`gnuplot: ${stderr}`);
}

const work = mkdtempSync(path.join(tmpdir(), 'mopl-render-'));
try {
    mkdirSync(folder, { recursive: true });
    for (const page of pages) await draw(page, work);
} finally {
    rmSync(work, { recursive: true, force: true });
}
