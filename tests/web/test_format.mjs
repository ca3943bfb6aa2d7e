// Numbers and times as people read them. Thin and fixed spaces are written as plain ones here.

import assert from 'node:assert/strict';
import test from 'node:test';

import * as format from '../../web/format.js';

const plain = text => text.replace(/[\u00a0\u202f]/g, ' ');

function check(write, pairs) {
    for (const [value, wanted] of pairs)
        assert.equal(plain(write(value)), wanted, String(value));
}

test('what is not known is a dash', () => {
    for (const name of ['number', 'short', 'bytes', 'bops', 'count', 'percent', 'accuracy',
        'spread', 'points', 'decibel', 'duration', 'time', 'ago', 'digest']) {
        for (const nothing of [null, undefined, name === 'time' || name === 'ago' ? '' : NaN])
            assert.equal(format[name](nothing), '–', name);
    }
});

test('numbers have thin spaces and a true minus', () => {
    check(format.number, [[0, '0'], [1234, '1 234'], [-12, '−12'], [-0.4, '0'],
        [999999.5, '1 000 000'], [-1234567, '−1 234 567']]);
    check(value => format.number(value, 3), [[1234.5678, '1 234.568'], [-0.0004, '0.000']]);
    check(format.short, [[0, '0'], [0.00412, '0.00412'], [3.14159, '3.14'], [1234, '1 234'],
        [-0.5, '−0.500'], [1e12, '1.00e+12']]);
});

test('sizes count in 1024, operations in 1000', () => {
    check(format.bytes, [[0, '0 B'], [812, '812 B'], [1024, '1.00 KiB'], [14950, '14.6 KiB'],
        [5 << 20, '5.00 MiB']]);
    check(format.bops, [[768, '768'], [315600, '315.6 k'], [3.576e6, '3.58 M'], [2e9, '2.00 G']]);
});

test('accuracies are percentages, their differences points with a sign', () => {
    check(format.accuracy, [[0.9123, '91.2 %'], [1, '100.0 %']]);
    check(format.points, [[0.004, '+0.4'], [-0.021, '−2.1'], [0, '0.0']]);
    assert.equal(plain(format.spread(0.912, 0.003)), '91.2 ± 0.3');
    assert.equal(plain(format.spread(0.912, null)), '91.2');
});

test('durations have their two largest units', () => {
    check(format.duration, [[12, '12 s'], [60, '1 min'], [185, '3 min 5 s'], [7800, '2 h 10 min'],
        [86400 * 4 + 3 * 3600, '4 d 3 h'], [59.7, '1 min']]);
});

test('times are in the zone of the reader, with the year when it is another', () => {
    const year = new Date().getFullYear();
    const at = (...parts) => new Date(...parts).toISOString();
    check(format.time, [[at(year, 0, 7, 3, 4, 5), '7 Jan, 03:04:05'],
        [at(2019, 10, 27, 23, 10, 4), '27 Nov 2019, 23:10:04']]);
});

test('choices are words, and one of them has no plural', () => {
    assert.equal(plain(format.choices({'weights.bits': 4, 'optimize.variable': 'round'})),
        'weights.bits 4 · optimize.variable round');
    assert.equal(format.choices({}), 'defaults');
    assert.equal(plain(format.plural(1, 'run')), '1 run');
    assert.equal(plain(format.plural(1200, 'run')), '1 200 runs');
});
