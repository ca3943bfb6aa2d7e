// A report as series, pairs, tables and fronts.

import assert from 'node:assert/strict';
import test from 'node:test';

import * as variants from '../../web/variants.js';

let next = 0;
function variant(choices, mean, more = {}) {
    return {id: `v${String(next++).padStart(3, '0')}`, choices,
        accuracy: {mean, std: 0.01, n: 4}, agreement: 0.5, succeeded: 4, runs: ['r'],
        cost: {bops: 1}, pareto: {bops: false}, ...more};
}

function sweep(bits, names, mean) {
    return bits.flatMap(width => names.map(name =>
        variant({'weights.bits': width, 'optimize.variable': name}, mean(width, name))));
}

const report = list => ({float: {accuracy: 0.9}, variants: list});

test('choices have short words', () => {
    assert.equal(variants.variantWords({'weights.bits': 4, 'activations.bits': 'same',
        'optimize.variable': 'round'}), 'W4 round');
    assert.equal(variants.variantWords({'optimize.variable': 'none'}), 'variable none');
    assert.equal(variants.variantWords({samples: 256, 'optimize.activations_in_loop': true}),
        'samples 256 activations in loop true');
    assert.equal(variants.variantWords({}), 'as submitted');
});

test('agreement stands for accuracy where there is none', () => {
    const list = [variant({}, null)];
    assert.equal(variants.measureOf(report(list)).key, 'agreement');
    assert.deepEqual(variants.measureOf(report(list)).of(list[0]), {mean: 0.5, std: null, n: 4});
    assert.equal(variants.measureOf(report([...list, variant({}, 0.8)])).key, 'accuracy');
});

test('a line for each optimized variable, over rising bits', () => {
    const list = sweep([8, 4, 2], ['round', 'none'], (width, name) =>
        width / 10 + (name === 'round' ? 0.05 : 0));
    const {key, best, series} = variants.seriesOverBits(list, variants.measureOf(report(list)));
    assert.equal(key, 'weights.bits');
    assert.equal(best, false);
    assert.deepEqual(series.map(({words}) => words), ['round', 'variable none']);
    assert.deepEqual(series[1].points.map(({x}) => x), [2, 4, 8]);
    assert.deepEqual(series[1].points.map(point => point.variant.accuracy.mean), [0.2, 0.4, 0.8]);
});

test('of too many combinations the best of each variable is shown', () => {
    const list = ['round', 'grid'].flatMap(name => [2, 4].flatMap(width =>
        [1, 2, 3, 4, 5].map(samples => variant({'weights.bits': width, samples,
            'optimize.variable': name}, width / 10 + samples / 100))));
    const {best, series} = variants.seriesOverBits(list, variants.measureOf(report(list)));
    assert.equal(best, true);
    assert.equal(series.length, 2);
    for (const {points} of series)
        assert.deepEqual(points.map(point => point.variant.choices.samples), [5, 5]);
});

test('without a swept width there is no line', () => {
    const list = [variant({'optimize.variable': 'round'}, 0.8)];
    assert.equal(variants.seriesOverBits(list, variants.measureOf(report(list))), null);
    assert.equal(variants.seriesOverBits([], variants.measureOf(report([]))), null);
});

test('a variant without a result leaves a gap in its line only', () => {
    const list = sweep([2, 4], ['round', 'grid'], (width, name) =>
        (width === 2 && name === 'grid' ? null : 0.5));
    const {series} = variants.seriesOverBits(list, variants.measureOf(report(list)));
    assert.deepEqual(series.map(({points}) => points.map(({x}) => x)), [[2, 4], [4]]);
});

test('pairs differ in one choice and nothing else', () => {
    const list = ['none', 'tune'].flatMap(bias => sweep([2, 4], ['round', 'grid'], () => 0.5)
        .map(each => ({...each, choices: {...each.choices, 'postprocess.bias': bias}})));
    assert.deepEqual(variants.pairKeys(list), ['optimize.variable', 'postprocess.bias']);
    const pairs = variants.pairsOf(list, 'postprocess.bias');
    assert.equal(pairs.length, 4);
    for (const {cells: [a, b]} of pairs) {
        const {'postprocess.bias': first, ...rest} = a.choices;
        const {'postprocess.bias': second, ...same} = b.choices;
        assert.deepEqual(rest, same);
        assert.deepEqual([first, second], ['none', 'tune']);
    }
});

test('the table of the study: widths down, variables across, one for each other choice', () => {
    const one = sweep([8, 2], ['qparam', 'round'], width => width / 10);
    const [table] = variants.widthTables(one);
    assert.deepEqual(table.columns, ['qparam', 'round']);
    assert.deepEqual(table.rows.map(({width}) => width), [8, 2]);
    assert.deepEqual(table.rows[1].cells.map(cell => cell.choices['optimize.variable']),
        ['qparam', 'round']);
    const two = ['layer', 'block'].flatMap(unit => one.map(each =>
        ({...each, choices: {...each.choices, 'optimize.granularity': unit}})));
    assert.deepEqual(variants.widthTables(two).map(({words}) => words), ['layer', 'block']);
    assert.deepEqual(variants.widthTables(sweep([8, 2], ['round'], () => 0.5)), []);
});

test('the front is what the report says, cheapest first', () => {
    const list = [[3, true], [1, true], [2, false], [null, true]].map(([bops, front]) =>
        variant({}, 0.5, {cost: {bops}, pareto: {bops: front}}));
    assert.deepEqual(variants.frontOf(list, 'bops').map(({cost}) => cost.bops), [1, 3]);
});

test('a difference has an error where both have seeds enough', () => {
    const {mean, error} = variants.differenceOf({mean: 0.5, std: 0.03, n: 9},
        {mean: 0.7, std: 0.04, n: 4});
    assert.ok(Math.abs(mean - 0.2) < 1e-12);
    assert.ok(Math.abs(error - Math.hypot(0.01, 0.02)) < 1e-12);
    assert.equal(variants.differenceOf({mean: 0.5, std: null, n: 1}, {mean: 1, std: null, n: 1})
        .error, null);
    assert.equal(variants.differenceOf({mean: null}, {mean: 1}), null);
});
