// Server-sent events, however the network cuts them.

import assert from 'node:assert/strict';
import test from 'node:test';

import {parser} from '../../web/events.js';

const STREAM = 'retry: 3000\nevent: snapshot\nid: 1-1\ndata: {"items":[]}\n\n:\n\n' +
    'event: progress\nid: 1-2\ndata: {"id":"j1","name":"a: b"}\n\n';
const EVENTS = [['snapshot', '{"items":[]}'], ['progress', '{"id":"j1","name":"a: b"}']];

function read(pieces) {
    const heard = [];
    const feed = parser((name, data) => heard.push([name, data]));
    pieces.forEach(feed);
    return heard;
}

/* Law: where a stream is cut does not matter. */
test('events are the same in any two pieces', () => {
    for (let at = 0; at <= STREAM.length; at++)
        assert.deepEqual(read([STREAM.slice(0, at), STREAM.slice(at)]), EVENTS, `at ${at}`);
});

test('events are the same letter by letter', () => {
    assert.deepEqual(read([...STREAM]), EVENTS);
});

test('an event that has not ended is not told', () => {
    assert.deepEqual(read([STREAM.slice(0, -1)]), EVENTS.slice(0, 1));
});

test('comments are no events', () => {
    assert.deepEqual(read([':\n\n:\n\n']), []);
});
