// Writes dashboards/en/*.json and dashboards/ko/*.json from pages.mjs: node monitoring/grafana/make.mjs. With --check it writes nothing and
// fails if a file is not what it would write.
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { pages } from './pages.mjs';

const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), 'dashboards');
const languages = ['en', 'ko'];
const datasource = { type: 'prometheus', uid: '${datasource}' };
const WIDTH = 24;
const HEIGHTS = { graph: 8, stat: 4, row: 1 };

const target = ([expr, legendFormat = '', options = {}], at) => ({
    datasource, editorMode: 'code', expr, legendFormat: legendFormat || '__auto', range: !options.instant, instant: Boolean(options.instant),
    refId: String.fromCharCode(65 + at),
});

const thresholds = (steps = [[null, 'green']]) => ({ mode: 'absolute', steps: steps.map(([value, color]) => ({ value, color })) });

function graph(panel) {
    const stack = panel.stack ? 'normal' : 'none';
    return {
        type: 'timeseries',
        fieldConfig: {
            defaults: {
                unit: panel.unit, min: panel.min ?? 0, ...(panel.max !== undefined && { max: panel.max }),
                color: { mode: 'palette-classic' },
                custom: { drawStyle: 'line', lineWidth: 1, fillOpacity: panel.stack ? 40 : 10, showPoints: 'never', spanNulls: 60000, stacking: { mode: stack, group: 'A' } },
            },
            overrides: [],
        },
        options: {
            legend: { displayMode: 'table', placement: 'bottom', showLegend: true, calcs: ['lastNotNull', 'max'] },
            tooltip: { mode: 'multi', sort: 'desc' },
        },
    };
}

function stat(panel) {
    return {
        type: 'stat',
        fieldConfig: { defaults: { unit: panel.unit, color: { mode: 'thresholds' }, thresholds: thresholds(panel.steps), ...(panel.none !== undefined && { noValue: panel.none }) }, overrides: [] },
        options: {
            colorMode: 'value', graphMode: 'area', justifyMode: 'auto', orientation: 'auto', textMode: 'auto', wideLayout: true, showPercentChange: false, percentChangeColorMode: 'standard',
            reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
        },
    };
}

// Panels of a row share its width.
function layout(page, language) {
    const at = languages.indexOf(language);
    const panels = [];
    let y = 0;
    for (const row of page.rows) {
        panels.push({ type: 'row', id: panels.length + 1, title: row.title[at], collapsed: false, gridPos: { h: HEIGHTS.row, w: WIDTH, x: 0, y }, panels: [] });
        y += HEIGHTS.row;
        const w = Math.floor(WIDTH / row.panels.length);
        const h = Math.max(...row.panels.map((panel) => HEIGHTS[panel.kind]));
        for (const [i, panel] of row.panels.entries()) {
            panels.push({
                ...(panel.kind === 'stat' ? stat(panel) : graph(panel)),
                id: panels.length + 1, title: panel.title[at], description: panel.about?.[at] ?? '', datasource,
                gridPos: { h, w, x: i * w, y }, targets: panel.queries.map(target),
            });
        }
        y += h;
    }
    return panels;
}

function dashboard(page, language) {
    const at = languages.indexOf(language);
    const source = {
        name: 'datasource', type: 'datasource', query: 'prometheus', label: ['Data source', '데이터 소스'][at], hide: 0, refresh: 1, regex: '', multi: false,
        includeAll: false, skipUrlSync: false, options: [], current: { selected: false, text: 'MOPL Prometheus', value: 'mopl-prometheus' },
    };
    return {
        uid: `mopl-${page.name}-${language}`, title: page.title[at], description: page.about[at], tags: ['mopl', language], timezone: 'browser',
        editable: true, fiscalYearStartMonth: 0, graphTooltip: 1, schemaVersion: 39, version: 1, refresh: '30s', time: { from: 'now-1h', to: 'now' },
        timepicker: {}, annotations: { list: [] }, weekStart: '',
        links: [{
            title: 'MOPL', type: 'dashboards', tags: ['mopl', language], asDropdown: true, includeVars: true, keepTime: true, targetBlank: false, icon: 'external link',
            tooltip: '', url: '',
        }],
        templating: { list: [source] },
        panels: layout(page, language),
    };
}

// A line a panel, so that a change is seen as what it is.
function written({ panels, ...rest }) {
    const lines = panels.map((panel) => `    ${JSON.stringify(panel)}`).join(',\n');
    return `${JSON.stringify(rest, null, 2).slice(0, -2)},\n  "panels": [\n${lines}\n  ]\n}\n`;
}

const check = process.argv.includes('--check');
const wrong = [];
for (const language of languages) {
    const names = new Set(pages.map((page) => `${page.name}.json`));
    mkdirSync(path.join(folder, language), { recursive: true });
    for (const page of pages) {
        const file = path.join(folder, language, `${page.name}.json`);
        const text = written(dashboard(page, language));
        if (!check) writeFileSync(file, text);
        else if (!existsSync(file) || readFileSync(file, 'utf8') !== text) wrong.push(file);
    }
    wrong.push(...readdirSync(path.join(folder, language)).filter((name) => !names.has(name)));
}
if (wrong.length > 0) {
    console.error(`not as make.mjs writes them: ${wrong.join(', ')}`);
    process.exit(1);
}
