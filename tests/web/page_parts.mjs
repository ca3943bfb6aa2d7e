// What the tests of the views have in common: what they read from a page, and how it looks.

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';

import {axe, openPage, test, visit} from './lab.mjs';

const plain = text => text.replace(/\s+/g, ' ').trim();

/** A table by its caption: {titles, rows: [[text, …], …]}, as it is on the page, hidden or not. */
export async function tableOf(page, caption) {
    const found = await page.evaluate(wanted => {
        const table = [...document.querySelectorAll('table')]
            .find(each => each.caption?.textContent === wanted);
        const texts = row => [...row.cells].map(cell => cell.textContent);
        return table && {titles: table.tHead ? texts(table.tHead.rows[0]) : [],
            rows: [...table.tBodies].flatMap(body => [...body.rows].map(texts))};
    }, caption);
    if (!found)
        throw new Error(`no table "${caption}"`);
    return {titles: found.titles.map(plain), rows: found.rows.map(row => row.map(plain))};
}

/** The text that a number has on the page. */
export const shown = plain;

/** The bytes of the file that `act` makes the page offer, and its name. */
export async function downloaded(page, act) {
    const [download] = await Promise.all([page.waitForEvent('download'), act()]);
    return {name: download.suggestedFilename(), bytes: readFileSync(await download.path())};
}

/** Tests of pages in themes and widths, [[theme, width], …]: accessible, and nothing is cut. */
export function testLooks(browser, daemon, looks, addresses) {
    for (const [theme, width] of looks) {
        test(`axe finds nothing, and it fits: ${theme}, ${width} pixels`, async () => {
            const page = await openPage(browser, {colorScheme: theme,
                viewport: {width, height: 900}});
            for (const address of addresses) {
                await visit(page, daemon, address);
                assert.deepEqual(await axe(page, theme === 'dark'), [], address);
                assert.ok(await page.evaluate(() => document.scrollingElement.scrollWidth)
                    <= width, address);
            }
            assert.deepEqual(page.complaints, []);
            await page.context().close();
        });
    }
}
