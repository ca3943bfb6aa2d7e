// Where points stand when several have the same x.

import assert from 'node:assert/strict';
import test from 'node:test';

import {barPlace, capOf, placeOf, stepOf, tiltHeight, tiltOf} from '../../web/chart_places.js';

const CAP = 6; // pixels: as wide as the ends of an error bar are drawn

const lines = (count, x, more) => ({x, apart: true, ...more, series: Array.from({length: count},
    () => ({values: x.map(() => 0.5), error: x.map(() => 0.1)}))});

const scale = (spec, width) => x => spec.x.length === 1 ? width / 2
    : width * (x - spec.x[0]) / (spec.x.at(-1) - spec.x[0]);

/* Law: as many lines as are drawn, on a small screen and a large one: their bars have room beside
 * each other, in order, around the x, and what stands at one x is nearer to it than to the next. */
test('the bars of lines at one x do not hide each other', () => {
    for (const [count, width] of [[2, 270], [6, 270], [7, 560]]) {
        const spec = lines(count, [2, 3, 4, 5, 6, 7, 8]);
        const toX = scale(spec, width);
        for (const x of spec.x) {
            const places = spec.series.map((series, i) => placeOf(spec, i, x, toX));
            const least = Math.min(CAP, 0.6 * width / 6 / count) - 1e-9;
            for (let i = 1; i < count; i++)
                assert.ok(places[i] - places[i - 1] >= least);
            const mean = places.reduce((sum, place) => sum + place, 0) / count;
            assert.ok(Math.abs(mean - toX(x)) < 1e-9);
            assert.ok(places.at(-1) - toX(x) < width / 6 / 2);
        }
    }
});

test('the ends of neighbours do not touch', () => {
    for (const [spec, width] of [[lines(6, [2, 3, 4, 5, 6, 7, 8]), 270], [lines(2, [2, 8]), 900],
        [{...lines(6, [0, 1, 2, 3, 4]), categories: ['a', 'b', 'c', 'd', 'e']}, 250]]) {
        const toX = scale(spec, width);
        const room = placeOf(spec, 1, 4, toX) - placeOf(spec, 0, 4, toX);
        assert.ok(2 * capOf(spec, toX) < room, `${2 * capOf(spec, toX)} in ${room}`);
    }
});

test('a width alone has room, and pixels of the screen may be smaller', () => {
    const spec = lines(3, [4]);
    assert.equal(stepOf(spec, scale(spec, 500), 2), 2 * stepOf(spec, scale(spec, 500)));
    assert.ok(stepOf(spec, scale(spec, 500)) >= CAP);
});

test('what has no deviations, or is alone, stays where it is', () => {
    const spec = lines(3, [2, 4]);
    spec.series.push({values: [0.9, 0.9]}, {values: [0.8, 0.8], error: [null, null]});
    for (const i of [3, 4])
        assert.equal(placeOf(spec, i, 2, scale(spec, 300)), 0);
    assert.equal(placeOf(lines(1, [2, 4]), 0, 4, x => 10 * x), 40);
    assert.equal(placeOf(lines(3, [2, 4], {apart: false}), 0, 4, x => 10 * x), 40);
});

test('bars of a category are neighbours, and their deviations are over their middles', () => {
    const spec = {...lines(3, [0, 1]), categories: ['a', 'b']};
    const [first, width] = barPlace(0, 3);
    assert.ok(Math.abs(first + barPlace(2, 3)[0] + width) < 1e-9); // around the category
    for (const i of [0, 1, 2]) {
        const [start] = barPlace(i, 3);
        assert.ok(Math.abs(placeOf(spec, i, 1, x => 90 * x) - 90 * (1 + start + width / 2)) < 1e-9);
    }
});

test('names of categories are turned where they have no room, and have it then', () => {
    const spec = {categories: ['first', 'block1.depthwise', 'block1.pointwise', 'classifier']};
    assert.equal(tiltOf(spec, 900), 0);
    assert.equal(tiltOf(spec, 330), -40);
    const length = 6.2 * 'block1.depthwise'.length;
    assert.ok(tiltHeight(spec) > length * Math.sin(40 * Math.PI / 180));
    assert.equal(tiltOf({categories: ['W2', 'W3', 'W4', 'W6', 'W8']}, 330), 0);
});
