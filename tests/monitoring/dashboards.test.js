// The dashboards and rules as files: written by their generator, fit for Grafana's published schema, each alert tested by promtool.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const monitoring = fileURLToPath(new URL('../../monitoring/', import.meta.url));
const dashboards = ['en', 'ko'].flatMap((language) => readdirSync(path.join(monitoring, 'grafana/dashboards', language))
    .map((name) => ({ language, name, json: JSON.parse(readFileSync(path.join(monitoring, 'grafana/dashboards', language, name), 'utf8')) })));

function run(program, ...words) {
    const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8', timeout: 120000 });
    assert.equal(status, 0, `${program} ${words.join(' ')}: ${status}\n${stdout}${stderr}`);
    return stdout;
}

// What tsc says of these dashboards as values of the schema's types; '' if they fit.
function typeCheck(list) {
    const folder = mkdtempSync(path.join(tmpdir(), 'mopl-schema-'));
    try {
        symlinkSync(path.join(here, 'node_modules'), path.join(folder, 'node_modules'));
        const types = '@grafana/schema/dist/esm/raw/composable';
        const source = list.map(({ json }, i) => `export const d${i}: Dashboard = ${JSON.stringify(json)};
export const t${i}: TimeSeries[] = ${JSON.stringify(json.panels.filter((panel) => panel.type === 'timeseries').map((panel) => panel.options))};
export const f${i}: TimeSeriesField[] = ${JSON.stringify(json.panels.filter((panel) => panel.type === 'timeseries').map((panel) => panel.fieldConfig.defaults.custom))};
export const s${i}: Stat[] = ${JSON.stringify(json.panels.filter((panel) => panel.type === 'stat').map((panel) => panel.options))};`);
        // The schema's enumerations are of words; JSON has the words.
        writeFileSync(path.join(folder, 'dashboards.ts'), `import type { Dashboard as Strict } from '@grafana/schema';
import type { Options as TimeSeriesStrict, FieldConfig as FieldStrict } from '${types}/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type { Options as StatStrict } from '${types}/stat/panelcfg/x/StatPanelCfg_types.gen';
type Words<T> = T extends string ? \`\${T}\` : T extends number | boolean | null | undefined ? T : T extends (infer U)[] ? Words<U>[] : { [K in keyof T]: Words<T[K]> };
type Dashboard = Words<Strict>;
type TimeSeries = Words<TimeSeriesStrict>;
type TimeSeriesField = Words<FieldStrict>;
type Stat = Words<StatStrict>;
${source.join('\n')}`);
        const { stdout } = spawnSync(path.join(here, 'node_modules/.bin/tsc'),
            ['--noEmit', '--strict', '--skipLibCheck', '--module', 'esnext', '--moduleResolution', 'node', '--target', 'es2022', path.join(folder, 'dashboards.ts')],
            { encoding: 'utf8', timeout: 120000 });
        return stdout.slice(0, 2000);
    } finally {
        rmSync(folder, { recursive: true, force: true });
    }
}

test('the dashboards are what their generator writes', () => {
    run('node', path.join(monitoring, 'grafana/make.mjs'), '--check');
    assert.equal(dashboards.length, 14);
});

test('dashboards fit the schema that Grafana publishes', () => {
    assert.equal(typeCheck(dashboards), '');
    const broken = structuredClone(dashboards.slice(0, 1));
    broken[0].json.panels[1].gridPos.h = 'tall';
    assert.match(typeCheck(broken), /error TS/, 'what does not fit is seen');
});

test('nothing on a page overlaps, ids and addresses are single', () => {
    assert.equal(new Set(dashboards.map(({ json }) => json.uid)).size, dashboards.length);
    for (const { name, json } of dashboards) {
        const taken = new Set();
        assert.equal(new Set(json.panels.map((panel) => panel.id)).size, json.panels.length, name);
        for (const { gridPos: { x, y, w, h } } of json.panels) {
            assert.ok(x >= 0 && w > 0 && x + w <= 24, name);
            for (let i = x; i < x + w; i += 1) for (let j = y; j < y + h; j += 1) {
                assert.ok(!taken.has(`${i} ${j}`), `${name}: ${i} ${j}`);
                taken.add(`${i} ${j}`);
            }
        }
    }
});

test('both languages have the same panels', () => {
    const shape = (language) => Object.fromEntries(dashboards.filter((page) => page.language === language)
        .map(({ name, json }) => [name, json.panels.map(({ type, gridPos, targets }) => [type, gridPos, targets?.map((one) => one.expr)])]));
    assert.deepEqual(shape('en'), shape('ko'));
    for (const { language, name, json } of dashboards.filter((page) => page.language === 'ko')) assert.match(json.title, /[가-힣]/, `${language} ${name}`);
});

test('the configuration is sound, and every alert is seen to fire and to be silent', () => {
    run('promtool', 'check', 'config', '--syntax-only', path.join(monitoring, 'prometheus.yml'));
    run('promtool', 'check', 'rules', ...readdirSync(path.join(monitoring, 'rules')).map((name) => path.join(monitoring, 'rules', name)));
    run('promtool', 'test', 'rules', path.join(here, 'rules.test.yml'));
    const alerts = [...readFileSync(path.join(monitoring, 'rules/alerts.rules.yml'), 'utf8').matchAll(/- alert: (\w+)/g)].map((match) => match[1]);
    const tests = readFileSync(path.join(here, 'rules.test.yml'), 'utf8');
    const manual = readFileSync(fileURLToPath(new URL('../../docs/monitoring.md', import.meta.url)), 'utf8');
    for (const alert of alerts) {
        assert.match(tests, new RegExp(`alertname: ${alert}\\n +eval_time: .*\\n +exp_alerts: \\[\\{`), `${alert} is not seen to fire`);
        assert.match(manual, new RegExp(`\\b${alert}\\b`), `docs/monitoring.md does not say what to do about ${alert}`);
    }
});
