// Places of nodes: what a layered drawing must keep, on chains, residual blocks and branches.

import assert from 'node:assert/strict';
import test from 'node:test';

import {drawnNodes, kindOf} from '../../web/graph_drawing.js';
import {edgePath, layoutGraph} from '../../web/graph_layout.js';

const nodesOf = inputs => inputs.map((list, id) => ({id, inputs: list, width: 100, height: 40}));

const graphs = {
    chain: [[], [0], [1], [2]],
    residual: [[], [0], [1], [2], [3, 0], [4]],
    'residual with a layer beside': [[], [0], [1], [0], [2, 3], [4]],
    branches: [[], [0], [0], [0], [1, 2, 3]],
    dense: [[], [0], [0, 1], [0, 1, 2], [0, 1, 2, 3]],
    'two inputs': [[], [], [0, 1]],
};

function overlap(a, b) {
    return a.x < b.x + 100 && b.x < a.x + 100 && a.y < b.y + 40 && b.y < a.y + 40;
}

// Where an edge is at a height, between the points that it is straight or smooth between.
function insideOf(place, {points}) {
    return points.some((point, index) => {
        const end = points[index + 1];
        if (end === undefined || Math.abs(point.x - end.x) > 0.5) // smooth ones are between ranks
            return false;
        const [top, bottom] = [Math.min(point.y, end.y), Math.max(point.y, end.y)];
        return point.x > place.x && point.x < place.x + 100 &&
            top < place.y + 39 && bottom > place.y + 1;
    });
}

for (const [name, inputs] of Object.entries(graphs)) {
    test(`${name}: nodes don't overlap and lie inside`, () => {
        const {places, width, height} = layoutGraph(nodesOf(inputs));
        const all = [...places.values()];
        assert.equal(all.length, inputs.length);
        all.forEach((place, index) => {
            assert.ok(place.x >= 0 && place.x + 100 <= width, `${place.x} in ${width}`);
            assert.ok(place.y >= 0 && place.y + 40 <= height, `${place.y} in ${height}`);
            for (const other of all.slice(index + 1))
                assert.ok(!overlap(place, other), JSON.stringify([place, other]));
        });
    });

    test(`${name}: edges run downwards and beside the nodes that they pass`, () => {
        const {places, edges} = layoutGraph(nodesOf(inputs));
        assert.equal(edges.length, inputs.flat().length);
        for (const edge of edges) {
            assert.ok(places.get(edge.from).y + 40 <= places.get(edge.to).y);
            for (let i = 1; i < edge.points.length; i++)
                assert.ok(edge.points[i].y >= edge.points[i - 1].y);
            for (const [id, place] of places) {
                if (id !== edge.from && id !== edge.to)
                    assert.ok(!insideOf(place, edge), `${edge.from}→${edge.to} crosses ${id}`);
            }
        }
    });
}

test('the main path of a residual block stays straight', () => {
    const {places} = layoutGraph(nodesOf(graphs.residual));
    const middles = [...places.values()].map(({x}) => x);
    assert.ok(Math.max(...middles) - Math.min(...middles) < 0.01, middles.join(' '));
});

test('a skip connection is one line beside the block', () => {
    const nodes = nodesOf(graphs.residual);
    nodes[2].width = 140;
    const {places, edges} = layoutGraph(nodes);
    const skip = edges.find(({points}) => points.length > 2);
    const bends = new Set(skip.points.slice(1, -1).map(({x}) => Math.round(x)));
    assert.equal(bends.size, 1);
    assert.ok([...bends][0] > places.get(2).x + 140);
});

test('a straight edge is one line, a bend is smooth', () => {
    assert.equal(edgePath([{x: 1, y: 2}, {x: 1, y: 9}]), 'M1 2L1 9');
    assert.equal(edgePath([{x: 0, y: 0}, {x: 10, y: 20}]), 'M0 0C0 10 10 10 10 20');
});

test('an activation is drawn with its layer, unless another node reads the layer', () => {
    const node = (id, op, inputs, layer = op === 'Conv') => ({id, op, layer, inputs,
        name: `n${id}`, from_input: inputs.length === 0, output_shape: [1, id + 1], macs: 1,
        parameters: 1});
    const graph = {
        input: {name: 'x', shape: [1, 3]},
        outputs: [5],
        nodes: [node(0, 'Conv', []), node(1, 'Relu', [0]), node(2, 'Conv', [1]),
            node(3, 'Relu', [2]), node(4, 'Conv', [2]), node(5, 'Add', [3, 4])],
    };
    const drawn = drawnNodes(graph);
    assert.deepEqual(drawn.map(({id}) => id), ['input', 0, 2, 3, 4, 5]);
    const [, first, second, relu] = drawn;
    assert.equal(first.fused, 'Relu');
    assert.deepEqual(first.inputs, ['input']);
    assert.deepEqual(first.output_shape, [1, 2]);
    assert.equal(second.fused, null);
    assert.deepEqual(second.inputs, [0]);
    assert.deepEqual(relu.inputs, [2]);
});

test('the kind of a layer has its kernel, and says when it is depthwise', () => {
    const conv = {op: 'Conv', kernel: [3, 3], groups: 1, output_shape: [1, 64, 8, 8]};
    assert.equal(kindOf(conv), 'Conv 3×3');
    assert.equal(kindOf({...conv, groups: 64}), 'Depthwise 3×3');
    assert.equal(kindOf({...conv, groups: 4}), 'Conv, 4 groups, 3×3');
    assert.equal(kindOf({op: 'Gemm', kernel: null, groups: 1, output_shape: [1, 12]}), 'Gemm');
});
