// Jobs and variants side by side: the numbers are those of the reports, and the address has all.

import assert from 'node:assert/strict';

import {accuracy, bops, bytes, number, points, spread} from '../../web/format.js';
import {Daemon, makeExample, openBrowser, openPage, runTests, settle, test, until, visit}
    from './lab.mjs';
import {downloaded, shown, tableOf, testLooks} from './page_parts.mjs';

const browser = await openBrowser();
const daemon = await new Daemon().start();
const files = await daemon.store(makeExample(), 'motion');
const page = await openPage(browser);

async function finished(name, pipeline, more = {}) {
    const {id} = await daemon.call('POST', '/v1/jobs',
        {name, ...files, seeds: [0, 1], pipeline, ...more});
    await daemon.finished(id);
    return {id, report: await daemon.get(`/v1/jobs/${id}/report`)};
}

const first = await finished('rounding', {weights: {bits: [2, 4, 8]},
    optimize: {variable: 'round'}, postprocess: {bias: 'none'}});
const second = await finished('nearest', {weights: {bits: [4, 8]},
    optimize: {variable: 'none'}, postprocess: {bias: 'none'}});
const blind = await finished('x'.repeat(200), {weights: {bits: 8},
    optimize: {variable: 'none'}}, {evaluation: undefined});

const best = ({report}) => [...report.variants]
    .sort((a, b) => b.accuracy.mean - a.accuracy.mean || a.id.localeCompare(b.id))[0];
const row = (table, title) => table.rows.find(([name]) => name === title)?.slice(1);

test('nothing chosen: jobs with results are offered', async () => {
    await visit(page, daemon, '#/compare');
    await page.getByLabel(`${first.id} rounding`).check();
    await page.getByLabel(`${second.id} nearest`).check();
    await page.locator('form').getByRole('button', {name: 'Compare'}).click();
    await page.waitForURL(/jobs=/);
    await settle(page);
    const {hash} = new URL(page.url());
    assert.deepEqual(hash.split('jobs=')[1].split(',').sort(), [first.id, second.id].sort());
});

test('jobs stand for their best variant, and differ from the first', async () => {
    await visit(page, daemon, `#/compare?jobs=${first.id},${second.id}`);
    const table = await tableOf(page, 'Comparison');
    const [a, b] = [best(first), best(second)];
    assert.deepEqual(row(table, 'variant'), [`${a.id}, best of 3`, `${b.id}, best of 2`]);
    const text = variant => shown(spread(variant.accuracy.mean, variant.accuracy.std, 2));
    const difference = a.accuracy.mean === b.accuracy.mean ? '='
        : points(b.accuracy.mean - a.accuracy.mean, 2);
    assert.deepEqual(row(table, 'accuracy %'), [text(a), text(b) + shown(difference)]);
    assert.deepEqual(row(table, 'optimize.variable'), ['round', 'none']);
    assert.equal(row(table, 'weights.scheme'), undefined); // the same in both
    await page.getByLabel('only choices that differ').uncheck();
    assert.deepEqual(row(await tableOf(page, 'Comparison'), 'weights.scheme'),
        ['symmetric', 'symmetric']);
});

test('variants: costs as factors of the first', async () => {
    await visit(page, daemon,
        `#/compare?variants=${first.id}:v001,${first.id}:v000,${second.id}:v000`);
    const chosen = [first.report.variants[1], first.report.variants[0],
        second.report.variants[0]];
    const table = await tableOf(page, 'Comparison');
    for (const [title, cost, format] of [['bit operations', 'bops', bops],
        ['flash', 'flash_bytes', bytes], ['peak memory', 'peak_bytes', bytes]]) {
        const values = chosen.map(variant => variant.cost[cost]);
        assert.deepEqual(row(table, title), values.map((value, i) => shown(format(value)) +
            (i === 0 ? '' : value === values[0] ? '='
                : shown(`${number(value / values[0], 2)} ×`))));
    }
    assert.deepEqual(row(table, 'weights.bits'), ['4', '2', '4']);
});

test('the plots have every variant of the jobs', async () => {
    await visit(page, daemon, `#/compare?jobs=${first.id},${second.id}`);
    const {rows} = await tableOf(page, 'Accuracy by bit operations: numbers');
    for (const {id, report} of [first, second]) {
        for (const variant of report.variants) {
            const mine = rows.find(([name]) => name.startsWith(`${id} ${variant.id}:`));
            assert.deepEqual(mine.slice(2), [shown(bops(variant.cost.bops)),
                shown(accuracy(variant.accuracy.mean))]);
        }
    }
    const widths = (await tableOf(page, 'Best by bits: numbers')).rows;
    assert.deepEqual(widths.map(([bits]) => bits), ['2', '4', '8']);
    assert.equal(widths[0][3], '–'); // the second job has no 2 bits
});

test('errors of the same network along its layers', async () => {
    const {rows} = await tableOf(page, 'Error of each layer: numbers');
    const run = best(first).runs[0];
    const {layers} = await daemon.get(`/v1/runs/${run}/layers`);
    assert.deepEqual(rows.map(cells => cells.slice(0, 2)), layers.map(layer =>
        [layer.name, shown(number(layer.output_sqnr_final_db, 1))]));
});

test('accuracy is not held against agreement', async () => {
    await visit(page, daemon, `#/compare?jobs=${blind.id},${first.id}`);
    const table = await tableOf(page, 'Comparison');
    const variant = best(first);
    assert.deepEqual(row(table, 'accuracy %'), ['–',
        shown(spread(variant.accuracy.mean, variant.accuracy.std, 2))]); // not "=" to what is not known
    const {rows} = await tableOf(page, 'Agreement by bit operations: numbers');
    for (const {id, report} of [blind, first]) {
        for (const variant of report.variants) {
            const mine = rows.find(([name]) => name.startsWith(`${id} ${variant.id}:`));
            assert.equal(mine[3], shown(accuracy(variant.agreement)));
        }
    }
});

/* Law: a job has one colour on the page, also where a plot has nothing of those before it. */
test('the second job has the second colour in every plot', async () => {
    await visit(page, daemon, `#/compare?jobs=${blind.id},${first.id}`);
    const colors = await page.evaluate(() => [1, 2].map(i =>
        getComputedStyle(document.documentElement).getPropertyValue(`--series-${i}`).trim()));
    const {bytes: got} = await downloaded(page, () =>
        page.getByRole('button', {name: 'Download Best by bits as SVG'}).click());
    assert.deepEqual(colors.map(color => got.toString().includes(color)), [false, true]);
    assert.ok(await page.getByText(`The best variant of ${first.id} rounding at`).isVisible());
});

test('one is added and one removed, in the address', async () => {
    await visit(page, daemon, `#/compare?jobs=${first.id}`);
    await page.getByLabel('Add a job or variant').fill(`${second.id}:v001`);
    await page.getByRole('button', {name: 'Add'}).click();
    await page.waitForURL(/variants=/);
    await until('both are there', async () =>
        (await tableOf(page, 'Comparison').catch(() => ({titles: []}))).titles.length === 3);
    assert.ok(page.url().endsWith(`#/compare?jobs=${first.id}&variants=${second.id}:v001`));
    await page.getByRole('button', {name: `Remove ${first.id}`}).click();
    await until('one is left', async () =>
        (await tableOf(page, 'Comparison').catch(() => ({titles: []}))).titles.length === 2);
    assert.ok(page.url().endsWith(`#/compare?variants=${second.id}:v001`));
});

test('what is not there is named, the others are shown', async () => {
    await visit(page, daemon, `#/compare?jobs=${first.id},j99&variants=${first.id}:v999`);
    const words = await page.locator('.problem').innerText();
    assert.ok(words.includes('j99') && words.includes(`${first.id}:v999`), words);
    assert.equal((await tableOf(page, 'Comparison')).titles.length, 2);
});

testLooks(browser, daemon, [['dark', 1440], ['light', 390]],
    ['#/compare', `#/compare?jobs=${first.id},${second.id}`,
        `#/compare?jobs=${blind.id},${first.id}`, `#/jobs/${blind.id}`, `#/runs/${blind.id}-v000-s0`]);

test('no script failed, and nothing was refused by the policy', () => {
    assert.deepEqual(page.complaints, []);
});

await runTests(async () => {
    await browser.close();
    await daemon.stop();
});
