// The page of a network: the drawing has what the interface tells, is coloured by a run, and is
// reached by keyboard.

import assert from 'node:assert/strict';

import {count, decibel} from '../../web/format.js';
import {Daemon, makeExample, openBrowser, openPage, runTests, settle, test, until, visit}
    from './lab.mjs';
import {downloaded, shown, tableOf, testLooks} from './page_parts.mjs';

const HOSTILE = '<img src=x onerror="window.hacked=1">';

const browser = await openBrowser();
const daemon = await new Daemon().start();
const files = await daemon.store(makeExample(), HOSTILE);
const page = await openPage(browser);
const address = `#/models/${files.model}`;

const {id: job} = await daemon.call('POST', '/v1/jobs', {name: 'colours', ...files, seeds: 1,
    pipeline: {weights: {bits: [4, 2]}, layers: [{match: 'first', weights: {bits: 8}}]}});
await daemon.finished(job);
const run = `${job}-v000-s0`;
const model = await daemon.get(`/v1/models/${files.model}`);
const graph = await daemon.get(`/v1/models/${files.model}/graph`);
const {layers} = await daemon.get(`/v1/runs/${run}/layers`);
const weighted = graph.nodes.filter(node => node.layer);

const node = name => page.locator(`.node[data-name="${name}"]`);
const colourBy = name => page.getByLabel('Colour by').selectOption({label: name});

test('every layer is drawn with its shape, MACs and parameters', async () => {
    await visit(page, daemon, address);
    assert.equal(await page.locator('.node.layer').count(), weighted.length);
    for (const each of weighted) {
        const texts = shown((await node(each.name).locator('text').allTextContents()).join(' '));
        assert.ok(texts.includes(each.name), texts);
        assert.ok(texts.includes(each.output_shape.slice(1).join(' × ')), texts);
        assert.ok(texts.includes(shown(`${count(each.macs)} MACs`)), texts);
        assert.ok(texts.includes(shown(`${count(each.parameters)} parameters`)), texts);
    }
    const drawn = await page.locator('.node').count();
    const fused = (await page.locator('.node.layer').allTextContents())
        .filter(text => text.includes(' + ')).length;
    assert.equal(drawn + fused, graph.nodes.length + 1); // and the input
});

test('each edge of the graph is drawn', async () => {
    const fused = new Set((await page.locator('.node').evaluateAll(groups =>
        groups.map(group => group.dataset.node))));
    const edges = graph.nodes.filter(each => fused.has(String(each.id))).reduce((sum, each) =>
        sum + new Set(each.inputs).size + (each.from_input ? 1 : 0), 0);
    assert.equal(await page.locator('path.edge').count(), edges);
});

test('the table of operators has the same', async () => {
    const {rows} = await tableOf(page, 'Operators');
    assert.deepEqual(rows.map(([name, op]) => [name, op]),
        model.layers.map(layer => [layer.name, layer.op]));
});

test('it is coloured by the errors and bits of a run', async () => {
    await page.getByLabel('Job').selectOption(job);
    await until('the run is there', async () =>
        await page.getByLabel('Run').inputValue() === run);
    await until('the errors are there', async () =>
        await page.locator('.node-value').count() === layers.length);
    const value = async name => shown(await node(name).locator('.node-value').textContent());
    const heat = async name =>
        Number((await node(name).getAttribute('class')).match(/heat-(\d)/)[1]);
    for (const layer of layers)
        assert.equal(await value(layer.name), shown(decibel(layer.output_sqnr_final_db)));
    const byError = [...layers].sort((a, b) => a.output_sqnr_final_db - b.output_sqnr_final_db);
    assert.equal(await heat(byError[0].name), 6);
    assert.equal(await heat(byError.at(-1).name), 0);
    await colourBy('bits of the weights');
    for (const layer of layers)
        assert.equal(await value(layer.name), `${layer.weight_bits} bits`);
    assert.equal(await heat(layers[0].name), 0);
    assert.equal(await heat(layers[1].name), 6);
});

test('the legend goes from the least to the largest error', async () => {
    await colourBy('error of the output');
    const errors = layers.map(layer => layer.output_sqnr_final_db);
    assert.equal(shown(await page.locator('.heat-legend').textContent()),
        shown(decibel(Math.max(...errors)) + decibel(Math.min(...errors))));
});

/* Law: the file stands alone: it has what is seen, and no class, whose style would be missing. */
test('the drawing is a file, too, with its colours', async () => {
    const {name, bytes} = await downloaded(page, () =>
        page.getByRole('button', {name: 'Download the drawing as SVG'}).click());
    assert.equal(name, `img-src-x-onerror-window-hacked-1-${run}-error.svg`);
    const drawn = await page.evaluate(text => {
        const file = new DOMParser().parseFromString(text, 'image/svg+xml');
        const all = [...file.querySelectorAll('*')];
        return {
            kinds: [...new Set(all.map(node => node.localName))].sort(),
            texts: [...file.querySelectorAll('text')].map(node => node.textContent).join(' '),
            fills: [...file.querySelectorAll('rect')].map(node => node.getAttribute('fill')),
            edges: file.querySelectorAll('path[marker-end]').length,
            foreign: all.flatMap(node => [...node.attributes].map(each => each.name))
                .filter(each => /^(class|style|role|tabindex|on|aria|data)/.test(each)),
            names: [...file.querySelectorAll('title')].map(node => node.textContent),
        };
    }, bytes.toString());
    assert.deepEqual(drawn.kinds, ['defs', 'g', 'marker', 'path', 'rect', 'svg', 'text', 'title']);
    assert.deepEqual(drawn.foreign, []);
    assert.ok(drawn.texts.startsWith(HOSTILE), drawn.texts);
    for (const layer of layers) {
        assert.ok(drawn.names.includes(layer.name));
        assert.ok(shown(drawn.texts).includes(shown(decibel(layer.output_sqnr_final_db))));
    }
    assert.equal(drawn.edges, await page.locator('path.edge').count());
    // Behind the ground: the colours that are seen.
    assert.deepEqual(drawn.fills.slice(1), await page.locator('.graph rect').evaluateAll(shapes =>
        shapes.map(shape => getComputedStyle(shape).fill)));
    assert.ok(new Set(drawn.fills).size > 3, drawn.fills.join(' '));
});

test('a click shows the layer with its plots, and the address keeps it', async () => {
    const {name} = layers[1];
    await colourBy('bits of the weights');
    await node(name).click();
    assert.equal(await page.locator('.one-layer h3').first().innerText(), name);
    await tableOf(page, `Weights of ${name}: numbers`);
    const {hash} = new URL(page.url());
    const query = new URLSearchParams(hash.split('?')[1]);
    assert.deepEqual(Object.fromEntries(query),
        {run, colour: 'weight-bits', layer: name});
    await page.reload();
    await settle(page);
    assert.equal(await page.locator('.one-layer h3').first().innerText(), name);
    assert.equal(await node(name).getAttribute('aria-pressed'), 'true');
    assert.equal(await page.getByLabel('Colour by').inputValue(), 'weight-bits');
});

test('the keyboard goes from node to node and chooses', async () => {
    await visit(page, daemon, address);
    const focused = () => page.evaluate(() => document.activeElement.dataset?.name);
    await page.getByLabel('Colour by').focus();
    await page.keyboard.press('Tab'); // the download
    await page.keyboard.press('Tab');
    assert.equal(await focused(), graph.input.name);
    await page.keyboard.press('ArrowDown');
    assert.equal(await focused(), graph.nodes[0].name);
    await page.keyboard.press('Enter');
    assert.equal(await page.locator('.one-layer h3').first().innerText(), graph.nodes[0].name);
    await page.keyboard.press('End');
    assert.notEqual(await focused(), graph.nodes[0].name);
    await page.keyboard.press('Home');
    assert.equal(await focused(), graph.input.name);
});

test('names are text', async () => {
    assert.equal(await page.locator('h1').innerText(), HOSTILE);
    assert.equal(await page.locator('main img').count(), 0);
    assert.equal(await page.evaluate(() => window.hacked), undefined);
});

test('a network that is not there is said so', async () => {
    await visit(page, daemon, `#/models/sha256:${'0'.repeat(64)}`);
    assert.equal(await page.locator('h1').innerText(), 'Not found');
});

testLooks(browser, daemon, [['light', 1440], ['dark', 390]],
    ['error', 'macs'].map(colour => `${address}?run=${run}&colour=${colour}`));

test('no script failed, and nothing was refused by the policy', () => {
    assert.deepEqual(page.complaints, []);
});

await runTests(async () => {
    await browser.close();
    await daemon.stop();
});
