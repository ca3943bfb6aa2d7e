// The page of a run: layers, histograms with their grid, losses, memory, time and log are those of
// the interface; a failure is told in words; what works is followed.

import assert from 'node:assert/strict';

import {accuracy, bops, bytes, decibel, duration, number, points, short}
    from '../../web/format.js';
import {Daemon, makeExample, openBrowser, openPage, runTests, test, until, visit}
    from './lab.mjs';
import {shown, tableOf, testLooks} from './page_parts.mjs';

const browser = await openBrowser();
const daemon = await new Daemon().start();
const files = await daemon.store(makeExample(), 'motion');
const page = await openPage(browser);

async function submit(more) {
    return (await daemon.call('POST', '/v1/jobs', {...files, seeds: 1, ...more})).id;
}

const job = await submit({name: 'looked at', pipeline: {weights: {bits: 4},
    optimize: {variable: 'round'}, layers: [{match: 'first', weights: {bits: 8}}],
    report: {sensitivity: true}}});
await daemon.finished(job);
const id = `${job}-v000-s0`;
const [run, layers, histograms, losses, memory, log] = await Promise.all(
    ['', '/layers', '/histograms', '/losses', '/memory', '/log']
        .map(rest => daemon.get(`/v1/runs/${id}${rest}`)));

test('the figures are those of the run', async () => {
    await visit(page, daemon, `#/runs/${id}`);
    assert.equal(await page.locator('h1').innerText(), `Run ${id}`);
    const figures = (await page.locator('.figures .figure').allInnerTexts()).map(shown);
    assert.deepEqual(figures, [accuracy(run.accuracy, 2), decibel(run.output_sqnr_db),
        bops(run.cost.bops), bytes(run.cost.flash_bytes), bytes(run.cost.peak_bytes),
        bytes(run.peak_rss_bytes)].map(shown));
});

test('the table of layers has bits, errors and sensitivity', async () => {
    const {titles, rows} = await tableOf(page, 'Layers');
    const column = title => titles.indexOf(title);
    assert.equal(rows.length, layers.layers.length);
    layers.layers.forEach((layer, i) => {
        assert.equal(rows[i][0], layer.name);
        assert.equal(rows[i][column('bits')], `${layer.weight_bits}/${layer.input_bits}`);
        for (const [title, key] of [['weights', 'weight_sqnr_db'], ['input', 'input_sqnr_db'],
            ['rounded to nearest', 'output_sqnr_before_db'], ['solved', 'output_sqnr_after_db'],
            ['finished network', 'output_sqnr_final_db']])
            assert.equal(rows[i][column(title)], shown(decibel(layer[key])), title);
        assert.equal(rows[i][column('only weights')],
            shown(points(-layer.sensitivity.weights.accuracy_drop, 2)));
    });
    assert.equal(rows[0][column('bits')], '8/8');
});

test('the plots along the network have the same numbers', async () => {
    const errors = (await tableOf(page, 'Error of each layer: numbers')).rows;
    const drops = (await tableOf(page, 'Sensitivity: numbers')).rows;
    layers.layers.forEach((layer, i) => {
        assert.deepEqual(errors[i], [layer.name, ...['before', 'after', 'final'].map(stage =>
            shown(number(layer[`output_sqnr_${stage}_db`], 1)))]);
        assert.deepEqual(drops[i].slice(1), ['weights', 'input'].map(part =>
            shown(number(100 * layer.sensitivity[part].accuracy_drop, 1))));
    });
});

test('a layer is chosen: its histograms, with the levels of its grid', async () => {
    const {name} = layers.layers[1];
    await page.getByRole('button', {name, exact: true}).first().click();
    assert.ok(page.url().endsWith(`?layer=${encodeURIComponent(name)}`));
    const kept = histograms.layers.find(each => each.name === name);
    for (const [title, histogram] of [[`Weights of ${name}`, kept.weights],
        [`Input of ${name}`, kept.activations]]) {
        const {rows} = await tableOf(page, `${title}: numbers`);
        assert.deepEqual(rows.map(([, , count]) => count),
            histogram.counts.map(count => shown(number(count))));
        assert.equal(rows[0][0], shown(short(histogram.low)));
        assert.equal(rows.at(-1)[1], shown(short(histogram.high)));
        const levels = histogram.code_high - histogram.code_low + 1;
        const note = await page.locator('figure', {hasText: title}).locator('.note').innerText();
        assert.ok(note.includes(`${levels} levels, ${short(histogram.scale)} apart`), note);
    }
});

test('the levels are drawn where their values are', async () => {
    const {levelsOf} = {levelsOf: codes => page.evaluate(async given => {
        const details = await import('/web/layer_details.js');
        return details.levelsOf(given);
    }, codes)};
    assert.deepEqual(await levelsOf({scale: 0.5, zero_point: 1, code_low: 0, code_high: 3}),
        [-0.5, 0, 0.5, 1].map((value, code) => ({code, value})));
    assert.deepEqual(await levelsOf({scale: 2, zero_point: 0, code_low: -128, code_high: 127}),
        [{code: -128, value: -256}, {code: 127, value: 254}]);
});

test('an address with a layer opens with it', async () => {
    const {name} = layers.layers[2];
    await visit(page, daemon, `#/runs/${id}?layer=${encodeURIComponent(name)}`);
    assert.equal(await page.locator('.one-layer h3').first().innerText(), name);
    assert.equal(await page.getByRole('button', {name, exact: true}).first()
        .getAttribute('aria-pressed'), 'true');
});

test('losses over iterations, of each unit', async () => {
    const units = losses.units.filter(unit => unit.points.length > 0);
    const {rows} = await tableOf(page, 'Losses of the units');
    assert.deepEqual(rows.map(([name]) => name), units.map(unit => unit.name));
    units.forEach((unit, i) => {
        assert.equal(rows[i][2], shown(short(unit.points[0].loss)));
        assert.equal(rows[i][3], shown(short(unit.points.at(-1).loss)));
    });
    const last = units.at(-1);
    await page.getByRole('region', {name: 'Losses of the units'})
        .getByRole('button', {name: last.name, exact: true}).click();
    const curve = await tableOf(page, `Reconstruction of ${last.name}: numbers`);
    assert.deepEqual(curve.rows.map(([iteration]) => iteration),
        last.points.map(({iteration}) => shown(number(iteration))));
});

test('memory over the order of execution, with the peak', async () => {
    const {rows} = await tableOf(page, 'Memory over the order of execution: numbers');
    assert.equal(rows.length, memory.steps.length);
    memory.steps.forEach((step, i) => assert.deepEqual(rows[i].slice(0, 4),
        [step.node, step.op, shown(bytes(step.bytes)), shown(bytes(step.float_bytes))]));
    const most = Math.max(...memory.steps.map(step => step.bytes)) + memory.weight_bytes;
    assert.equal(most, memory.peak_bytes);
    const peak = memory.steps.find(step => step.node === memory.peak_node);
    const said = shown(await page.getByText('Alive at the peak').innerText());
    for (const tensor of peak.tensors)
        assert.ok(said.includes(`${tensor.name} ${shown(bytes(tensor.bytes))}`), said);
});

test('time per step, and the log', async () => {
    const {rows} = await tableOf(page, 'Seconds per step');
    const steps = Object.entries(run.seconds).filter(([name]) => name !== 'total');
    assert.deepEqual(rows.map(([name, text]) => [name, text]),
        steps.map(([name, seconds]) => [name, shown(duration(seconds))]));
    const lines = (await page.locator('.log li').allInnerTexts()).map(shown);
    assert.equal(lines.length, log.lines.length);
    log.lines.forEach(({text}, i) => assert.ok(lines[i].endsWith(shown(text)), lines[i]));
});

test('a run that failed says what happened, where, and what helps', async () => {
    const failed = await submit({name: 'too large', memory_limit: 16, pipeline: {
        weights: {bits: 4}, optimize: {granularity: 'network', variable: 'weights', batch: 1024}}});
    assert.equal((await daemon.finished(failed)).state, 'failed');
    const broken = await daemon.get(`/v1/runs/${failed}-v000-s0`);
    await visit(page, daemon, `#/runs/${failed}-v000-s0`);
    const words = await page.locator('.problem').innerText();
    assert.match(words, /not enough memory, in step \w+/);
    assert.ok(words.includes(broken.problem.detail), words);
    assert.match(words, /higher memory limit/);
    assert.equal(await page.locator('.figures').count(), 0);
});

test('the layer of a failure is named', async () => {
    const words = await page.evaluate(async () => (await import('/web/problem_words.js'))
        .problemWords({code: 'unsupported', detail: 'layer \'conv_1\': no such form'}, 'solve'));
    assert.equal(words.layer, 'conv_1');
    assert.equal(words.where, 'at conv_1, in step solve');
});

test('a run is followed while it works, and to its end', async () => {
    const slow = await submit({name: 'slow', pipeline: {weights: {bits: 4},
        optimize: {iterations: 200000}}});
    await visit(page, daemon, `#/runs/${slow}-v000-s0`);
    await until('it works', async () => await page.locator('.panel.live [role=progressbar]').count() > 0);
    await until('it says at what', async () =>
        /unit \d+ of \d+/.test(await page.locator('.panel.live').innerText()));
    await daemon.call('POST', `/v1/jobs/${slow}/cancel`, '');
    await until('it has ended', async () =>
        await page.locator('.subtitle .badge').innerText() === 'cancelled');
    assert.equal(await page.locator('.panel.live').count(), 0);
});

testLooks(browser, daemon, [['dark', 1440], ['light', 390]], [`#/runs/${id}`]);

test('no script failed, and nothing was refused by the policy', () => {
    assert.deepEqual(page.complaints, []);
});

await runTests(async () => {
    await browser.close();
    await daemon.stop();
});
