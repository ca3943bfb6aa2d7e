// The page of a job: its numbers are those of the interface, and it can be steered while it works.

import assert from 'node:assert/strict';

import {accuracy, bops, bytes, points, spread} from '../../web/format.js';
import {Daemon, makeExample, openBrowser, openPage, runTests, settle, test, until, visit}
    from './lab.mjs';
import {downloaded, shown, tableOf, testLooks} from './page_parts.mjs';

const HOSTILE = '<img src=x onerror="window.hacked=1">';

const browser = await openBrowser();
const daemon = await new Daemon().start();
const files = await daemon.store(makeExample(), HOSTILE);
const page = await openPage(browser);

async function submit(more) {
    return (await daemon.call('POST', '/v1/jobs', {...files, seeds: [0, 1], ...more})).id;
}

const sweep = await submit({
    name: `sweep ${HOSTILE}`,
    labels: {set: HOSTILE},
    pipeline: {weights: {bits: [8, 4, 2]}, optimize: {variable: ['none', 'round']},
        postprocess: {bias: ['none', 'correct']}},
});
await daemon.finished(sweep);
const report = await daemon.get(`/v1/jobs/${sweep}/report`);
const choice = (variant, key) => variant.choices[key];

const slow = name => submit({name, pipeline: {weights: {bits: 4},
    optimize: {iterations: 200000}}});
const badge = () => page.locator('.subtitle .badge').allInnerTexts();
const press = name => page.getByRole('button', {name}).first().click();

test('the table of variants has the numbers of the report', async () => {
    await visit(page, daemon, `#/jobs/${sweep}`);
    const {titles, rows} = await tableOf(page, 'Variants');
    const column = title => titles.findIndex(each => each.startsWith(title));
    assert.equal(rows.length, 13); // the float network comes first
    assert.equal(rows[0][column('accuracy')], shown(spread(report.float.accuracy, null, 2)));
    report.variants.forEach((variant, i) => {
        const row = rows[i + 1];
        assert.equal(row[0], variant.id);
        assert.equal(row[column('weights.bits')], String(choice(variant, 'weights.bits')));
        assert.equal(row[column('accuracy')],
            shown(spread(variant.accuracy.mean, variant.accuracy.std, 2)));
        assert.equal(row[column('loss')], shown(spread(variant.loss.mean, variant.loss.std, 2)));
        assert.equal(row[column('BOPs')],
            shown(bops(variant.cost.bops)) + (variant.pareto.bops ? '★' : ''));
        assert.equal(row[column('flash')], shown(bytes(variant.cost.flash_bytes)));
        assert.equal(row[column('peak memory')],
            shown(bytes(variant.cost.peak_bytes)) + (variant.pareto.peak_bytes ? '★' : ''));
    });
});

test('it is sorted by what is not known last, then by the numbers', async () => {
    await page.getByRole('region', {name: 'Variants', exact: true})
        .getByRole('button', {name: 'accuracy %'}).click();
    const {rows} = await tableOf(page, 'Variants');
    const order = [{id: 'float', accuracy: {mean: report.float.accuracy}}, ...report.variants]
        .map((variant, i) => [variant.accuracy.mean, i, variant.id])
        .sort(([a, i], [b, j]) => b - a || i - j).map(([, , id]) => id);
    assert.deepEqual(rows.map(([id]) => id), order);
});

test('width × variable is the layout of the study', async () => {
    await press('Width × variable');
    for (const bias of ['none', 'correct']) {
        const words = bias === 'none' ? 'bias none' : 'correct';
        const {titles, rows} =
            await tableOf(page, `accuracy by width and optimized variable, ${words}`);
        assert.deepEqual(titles, ['bits', 'none', 'round']);
        assert.deepEqual(rows.map(([bits]) => bits), ['8', '4', '2']);
        for (const [bits, ...cells] of rows) {
            ['none', 'round'].forEach((variable, i) => {
                const variant = report.variants.find(each =>
                    String(choice(each, 'weights.bits')) === bits &&
                    choice(each, 'optimize.variable') === variable &&
                    choice(each, 'postprocess.bias') === bias);
                assert.equal(cells[i],
                    shown(spread(variant.accuracy.mean, variant.accuracy.std, 2)) +
                    shown(points(-variant.loss.mean, 2)));
            });
        }
    }
    await press('All');
});

test('the plot over bits has the means and deviations of the report', async () => {
    const {titles, rows} = await tableOf(page, 'Accuracy by bits: numbers');
    assert.deepEqual(rows.map(([bits]) => bits), ['2', '4', '8']);
    for (const variant of report.variants) {
        const words = `${choice(variant, 'optimize.variable') === 'none' ? 'variable none'
            : 'round'} ${choice(variant, 'postprocess.bias') === 'none' ? 'bias none'
            : 'correct'}`;
        const at = titles.findIndex(title => title.startsWith(words));
        const row = rows.find(([bits]) => bits === String(choice(variant, 'weights.bits')));
        assert.equal(row[at], shown(accuracy(variant.accuracy.mean)), words);
        assert.equal(row[at + 1], shown(accuracy(variant.accuracy.std)), words);
    }
});

/* Law: at one width each line has a place of its own, and its bar stands there. */
test('the deviations of one width stand side by side', async () => {
    const {bytes: got} = await downloaded(page, () =>
        page.getByRole('button', {name: 'Download Accuracy by bits as SVG'}).click());
    const numbers = pattern => [...got.toString().matchAll(pattern)].map(([, x]) => Number(x));
    const points = numbers(/<circle cx="([\d.]+)"/g);
    assert.equal(points.length, report.variants.length);
    points.sort((a, b) => a - b);
    for (let i = 1; i < points.length; i++)
        assert.ok(points[i] - points[i - 1] >= 6, `${points[i]} beside ${points[i - 1]}`);
    const bars = numbers(/<path d="M([\d.]+) [\d.]+V[\d.]+M/g);
    assert.equal(bars.length, report.variants.filter(({accuracy: {std}}) => std > 0).length);
    assert.ok(bars.every(bar => points.includes(bar)));
});

test('the plots over costs have a point for each variant', async () => {
    for (const [title, cost, format] of [['Accuracy by bit operations', 'bops', bops],
        ['Accuracy by peak memory', 'peak_bytes', bytes]]) {
        const {rows} = await tableOf(page, `${title}: numbers`);
        assert.equal(rows.length, report.variants.length);
        for (const variant of report.variants) {
            const [, , x, y] = rows.find(([name]) => name.startsWith(`${variant.id}:`));
            assert.equal(x, shown(format(variant.cost[cost])));
            assert.equal(y, shown(accuracy(variant.accuracy.mean)));
        }
    }
});

test('one choice against another: pairs that differ in it alone', async () => {
    await page.getByLabel('Choice').selectOption('postprocess.bias');
    const {rows} = await tableOf(page, 'Pairs that differ in postprocess.bias alone');
    assert.equal(rows.length, 6);
    for (const [words, first, second, difference] of rows) {
        const pair = ['none', 'correct'].map(bias => report.variants.find(each =>
            `W${choice(each, 'weights.bits')} ` +
            (choice(each, 'optimize.variable') === 'none' ? 'variable none' : 'round') === words &&
            choice(each, 'postprocess.bias') === bias));
        const [a, b] = pair.map(variant => variant.accuracy);
        assert.equal(first, shown(spread(a.mean, a.std, 2)));
        assert.equal(second, shown(spread(b.mean, b.std, 2)));
        assert.ok(difference.startsWith(shown(points(b.mean - a.mean, 2))), difference);
    }
});

/* Law: a bar takes its whole share, in the middle of which its deviation is drawn. */
test('bars are where their deviations are', async () => {
    const clear = await page.locator('figure', {hasText: 'Accuracy by postprocess.bias'})
        .evaluate(figure => {
            const canvas = figure.querySelector('canvas');
            const [box, over] = [canvas, figure.querySelector('.u-over')]
                .map(each => each.getBoundingClientRect());
            const scale = canvas.width / box.width;
            const [categories, share] = [6, 0.8 / 2];
            const alphaAt = x => canvas.getContext('2d').getImageData(
                scale * (over.left - box.left + over.width * (x + 0.6) / (categories + 0.2)),
                scale * (over.bottom - box.top - 10), 1, 1).data[3];
            return Array.from({length: 2 * categories}, (_, bar) =>
                alphaAt(Math.floor(bar / 2) + (bar % 2 - 1) * share + 0.9 * share))
                .filter(alpha => alpha === 0).length;
        });
    assert.equal(clear, 0);
});

test('the CSV is that of the interface', async () => {
    const {name, bytes: got} = await downloaded(page, () =>
        page.locator('.toolbar').getByRole('button', {name: 'CSV'}).click());
    assert.equal(name, `${sweep}.csv`);
    assert.equal(got.toString(), await daemon.call('GET', `/v1/jobs/${sweep}/report`, undefined,
        {Accept: 'text/csv'}));
});

test('plots are files, too', async () => {
    const get = kind => downloaded(page, () =>
        page.getByRole('button', {name: `Download Accuracy by bits as ${kind}`}).click());
    const png = await get('PNG');
    assert.equal(png.bytes.subarray(1, 4).toString(), 'PNG');
    const drawing = (await get('SVG')).bytes.toString();
    // A line for each of the four combinations and the float network, in well-formed XML.
    const parsed = await page.evaluate(text => {
        const {documentElement: root} = new DOMParser().parseFromString(text, 'image/svg+xml');
        return {error: root.querySelector('parsererror')?.textContent ?? null,
            circles: root.querySelectorAll('circle').length};
    }, drawing);
    assert.deepEqual(parsed, {error: null, circles: 12});
});

test('the specification is the job\'s', async () => {
    const job = await daemon.get(`/v1/jobs/${sweep}`);
    const [json, curl] = await page.locator('.copybox pre').allTextContents();
    const spec = JSON.parse(json);
    for (const key of ['name', 'labels', 'model', 'calibration', 'evaluation', 'seeds',
        'pipeline'])
        assert.deepEqual(spec[key], job[key], key);
    assert.ok(curl.startsWith(`curl ${daemon.url}/v1/jobs`));
});

test('variants are chosen to compare', async () => {
    await page.getByLabel('Choose v001 to compare').check();
    await page.getByLabel('Choose v003 to compare').check();
    await page.getByRole('link', {name: 'Compare 2 variants'}).click();
    await page.waitForURL(/compare/);
    await settle(page);
    assert.equal(decodeURIComponent(page.url()).split('?')[1],
        `variants=${sweep}:v001,${sweep}:v003`);
});

test('names are text', async () => {
    await visit(page, daemon, `#/jobs/${sweep}`);
    assert.equal(await page.locator('h1').innerText(), `sweep ${HOSTILE}`);
    assert.equal(await page.locator('main img').count(), 0);
    assert.equal(await page.evaluate(() => window.hacked), undefined);
});

test('a job is followed to its end without a reload', async () => {
    const id = await submit({name: 'followed', seeds: 1, pipeline: {weights: {bits: [3, 4]},
        optimize: {variable: 'grid'}, postprocess: {bias: 'none'}}});
    await visit(page, daemon, `#/jobs/${id}`);
    const bits = page.getByRole('columnheader', {name: 'weights.bits'});
    await bits.getByRole('button').click(); // as soon as there is a result
    await daemon.finished(id);
    await until('both runs are told', async () => (await tableOf(page, 'Runs')).rows
        .filter(row => row.includes('succeeded')).length === 2);
    const {rows} = await tableOf(page, 'Runs');
    assert.deepEqual(rows.map(([run]) => run), [`${id}-v000-s0`, `${id}-v001-s0`]);
    assert.equal((await tableOf(page, 'Variants')).rows.length, 3);
    assert.equal(await bits.getAttribute('aria-sort'), 'descending'); // stays
    assert.deepEqual(await badge(), ['succeeded']);
});

test('it is paused, resumed, given another priority and cancelled', async () => {
    const id = await slow('steered');
    await visit(page, daemon, `#/jobs/${id}`);
    await until('a run works', async () =>
        await page.locator('.panel.live .run-progress:not(.whole)').count() > 0);
    await press(/^Pause/);
    await until('it is paused', async () => (await badge()).includes('paused'));
    await press(/^Resume/);
    await until('it is resumed', async () => !(await badge()).includes('paused'));
    await page.getByLabel('Priority').fill('-3');
    await page.getByRole('button', {name: 'Set', exact: true}).click();
    await until('it has the priority', async () =>
        (await daemon.get(`/v1/jobs/${id}`)).priority === -3);
    await press(/^Cancel/);
    await until('it is cancelled', async () => (await badge())[0] === 'cancelled');
    assert.equal((await daemon.get(`/v1/jobs/${id}`)).state, 'cancelled');
    assert.equal(await page.getByRole('link', {name: /again/}).getAttribute('href'),
        `#/submit?from=${id}`);
});

test('it goes on by itself when the daemon was restarted', async () => {
    const id = await slow('interrupted');
    await visit(page, daemon, `#/jobs/${id}`);
    const works = () => page.locator('.panel.live .run-progress:not(.whole)').count();
    await until('a run works', works);
    await daemon.stop();
    await page.locator('.connection.lost').waitFor();
    assert.equal(await page.locator('h1').innerText(), 'interrupted'); // what was shown stays
    await daemon.start();
    await page.locator('.connection.live').waitFor();
    await until('a run works again', works);
    await press(/^Cancel/);
    await until('it is cancelled', async () => (await badge())[0] === 'cancelled');
});

test('an address that is loaded again shows the same', async () => {
    await visit(page, daemon, `#/jobs/${sweep}`);
    const [title, before] = [await page.title(), await tableOf(page, 'Variants')];
    await page.reload();
    await settle(page);
    assert.equal(await page.title(), title);
    assert.deepEqual(await tableOf(page, 'Variants'), before);
});

test('a failure is told in words, and failed runs are retried', async () => {
    const id = await submit({name: 'too large', seeds: 1, memory_limit: 16, pipeline:
        {weights: {bits: 4}, optimize: {granularity: 'network', variable: 'weights',
            batch: 1024}}});
    const job = await daemon.finished(id);
    assert.equal(job.state, 'failed');
    await visit(page, daemon, `#/jobs/${id}`);
    const words = await page.locator('.problem').innerText();
    assert.ok(words.includes(job.problem.detail), words);
    assert.match(await page.locator('main').innerText(), /No run has succeeded/);
    await press(/^Retry/);
    await until('it has failed again', async () =>
        (await daemon.get(`/v1/runs/${id}-v000-s0`)).attempts === 2 &&
        (await badge())[0] === 'failed');
});

test('without an evaluation set agreement stands for accuracy', async () => {
    const {evaluation, ...others} = files;
    const {id} = await daemon.call('POST', '/v1/jobs', {...others, seeds: 1,
        pipeline: {weights: {bits: [2, 8]}, postprocess: {bias: 'none'}}});
    await daemon.finished(id);
    await visit(page, daemon, `#/jobs/${id}`);
    const {variants} = await daemon.get(`/v1/jobs/${id}/report`);
    const {rows} = await tableOf(page, 'Agreement by bits: numbers');
    assert.deepEqual(rows.map(([, value]) => value),
        variants.map(({agreement}) => shown(accuracy(agreement))));
});

testLooks(browser, daemon, [['light', 1440], ['dark', 390]], [`#/jobs/${sweep}`]);

test('no script failed, and nothing was refused by the policy', () => {
    assert.deepEqual(page.complaints, []);
});

await runTests(async () => {
    await browser.close();
    await daemon.stop();
});
