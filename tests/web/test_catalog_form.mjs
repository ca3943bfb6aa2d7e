// What is typed into a field of the catalogue, and what a form says.

import assert from 'node:assert/strict';
import test from 'node:test';

import {parseValues, rangeOf, valuesOf, variantsOf} from '../../web/catalog_form.js';

const bits = {name: 'weights.bits', type: 'integer', default: 8, minimum: 2, maximum: 8, also: 32,
    sweep: true};
const same = {...bits, name: 'activations.bits', default: 'same', special: 'same'};
const share = {name: 'optimize.drop', type: 'number', default: 0, minimum: 0, maximum: 1,
    sweep: false};
const artifacts = {name: 'artifacts', type: 'set', default: ['onnx'], choices: ['onnx'],
    sweep: false};

test('several values are separated by anything usual', () => {
    for (const text of ['2, 4,8', '2 4 8', ' 2;4, 8 '])
        assert.deepEqual(parseValues(bits, text), [2, 4, 8], text);
    assert.deepEqual(parseValues(same, 'same, 32'), ['same', 32]);
    assert.deepEqual(parseValues(share, '0.25'), [0.25]);
});

/* Law: a field takes what the daemon takes, and says what that is. */
test('what the range does not have is refused with the range', () => {
    for (const text of ['1', '9', '31', '33', '2.5', 'four', '2, 17', '1e999'])
        assert.throws(() => parseValues(bits, text), /2 to 8, or 32, whole numbers/, text);
    assert.throws(() => parseValues(bits, 'same'), /“same” is not possible/);
    assert.throws(() => parseValues(share, '0.1, 0.2'), /is not possible/);
    assert.throws(() => parseValues(bits, '4 8 4'), /4 is there twice/);
});

test('ranges are said in words', () => {
    assert.equal(rangeOf(bits), '2 to 8, or 32');
    assert.equal(rangeOf(same), '2 to 8, or 32, or “same”');
    assert.equal(rangeOf(artifacts), '');
});

test('a form leaves out defaults and nests names', () => {
    const fields = [{row: bits, values: [2, 4]}, {row: same, values: null},
        {row: share, values: [0.5]}, {row: artifacts, values: [[]]}];
    assert.deepEqual(valuesOf(fields),
        {weights: {bits: [2, 4]}, optimize: {drop: 0.5}, artifacts: []});
    assert.deepEqual(valuesOf([{row: bits, values: null}]), {});
});

test('variants are the product of what is swept', () => {
    assert.equal(variantsOf([]), 1);
    assert.equal(variantsOf([{row: bits, values: [2, 4, 8]}, {row: same, values: ['same', 8]},
        {row: share, values: [0.5]}, {row: artifacts, values: [['onnx']]}]), 6);
});
