// The drawing of a network: SVG, layer by layer from top to bottom. One stop of the Tab key; the
// arrows go from node to node, Enter chooses.

import {svg} from './dom.js';
import {count} from './format.js';
import {edgePath, layoutGraph} from './graph_layout.js';

const activations = new Set(['Relu', 'LeakyRelu', 'PRelu', 'Clip', 'Sigmoid', 'Tanh',
    'HardSigmoid', 'HardSwish', 'Elu']);

const sizes = {layer: {width: 216, height: 58}, plain: {width: 200, height: 24}};
const nameChars = {layer: 31, beside: 22, plain: 18}; // that fit; `beside` a value

/** Nodes to draw: an activation function whose only input nobody else reads is drawn with that
 * node, as it is fused with it; the network's input comes first, with the id "input". */
export function drawnNodes(graph) {
    const readers = new Map();
    for (const node of graph.nodes)
        for (const input of node.inputs)
            readers.set(input, (readers.get(input) ?? 0) + 1);
    const outputs = new Set(graph.outputs);
    const drawn = new Map();
    const place = new Map(); // of each node of the graph: the id of the one that it is drawn with
    for (const node of graph.nodes) {
        const before = node.inputs.length === 1 ? drawn.get(place.get(node.inputs[0])) : undefined;
        if (before !== undefined && before.layer && before.fused === null &&
            activations.has(node.op) && readers.get(node.inputs[0]) === 1 &&
            !outputs.has(node.inputs[0])) {
            before.fused = node.op;
            before.output_shape = node.output_shape;
            place.set(node.id, before.id);
            continue;
        }
        const inputs = node.inputs.map(id => place.get(id));
        if (node.from_input)
            inputs.unshift('input');
        drawn.set(node.id, {...node, fused: null, inputs});
        place.set(node.id, node.id);
    }
    const input = {id: 'input', name: graph.input.name, op: 'Input', layer: false, fused: null,
        output_shape: graph.input.shape, macs: 0, parameters: 0, inputs: []};
    return [input, ...drawn.values()];
}

/** The operator with its kernel, "Conv 3×3"; `layer` as the network's description has it. */
export function kindOf({op, kernel, groups, output_shape: shape}) {
    if (!kernel)
        return op;
    const depthwise = groups > 1 && groups === shape[1];
    const name = depthwise ? 'Depthwise' : groups > 1 ? `${op}, ${groups} groups,` : op;
    return `${name} ${kernel.join('×')}`;
}

/** A shape without its batch axis: "64 × 25 × 5". */
export function shapeText(shape) {
    const inner = (shape ?? []).slice(1);
    return inner.length > 0 ? inner.join(' × ') : '1';
}

/** The end of a long name tells it from others. */
function shortened(name, most) {
    return name.length > most ? `…${name.slice(1 - most)}` : name;
}

const fact = (x, y, text) => svg('text', {x, y, class: 'node-fact'}, text);
const endFact = (x, y, text) => svg('text', {x, y, class: 'node-fact end'}, text);

function layerTexts(node, value) {
    const chars = value === null ? nameChars.layer : nameChars.beside;
    return [
        svg('text', {x: 10, y: 18, class: 'node-name'}, shortened(node.name, chars)),
        value && svg('text', {x: 206, y: 18, class: 'node-value end'}, value.text),
        fact(10, 34, node.fused === null ? node.kind : `${node.kind} + ${node.fused}`),
        endFact(206, 34, shapeText(node.output_shape)),
        fact(10, 50, `${count(node.macs)} MACs · ${count(node.parameters)} parameters`),
    ].filter(Boolean);
}

function plainTexts(node) {
    return [
        fact(10, 16, shortened(node.op === 'Input' ? node.name : node.op, nameChars.plain)),
        endFact(190, 16, shapeText(node.output_shape)),
    ];
}

function drawNode(node, place, value, onselect) {
    const size = node.layer ? sizes.layer : sizes.plain;
    const heat = value === null ? '' : ` heat-${value.heat}`;
    const texts = node.layer ? layerTexts(node, value) : plainTexts(node);
    return svg('g', {
        class: `node ${node.layer ? 'layer' : 'plain'}${heat}`,
        transform: `translate(${Math.round(place.x)} ${Math.round(place.y)})`,
        role: 'button',
        tabindex: -1,
        'aria-pressed': 'false',
        'aria-label': texts.map(text => text.textContent).join(' '), // as it is seen
        'data-node': node.id,
        'data-name': node.name,
        onclick: () => onselect(node),
    },
    svg('title', null, node.name),
    svg('rect', {width: size.width, height: size.height, rx: node.layer ? 6 : 12}),
    texts.flatMap(text => [text, ' ']));
}

function drawEdge(edge) {
    return svg('path', {class: edge.points.length > 2 ? 'edge skip' : 'edge',
        d: edgePath(edge.points), 'marker-end': 'url(#arrow)'});
}

function arrow() {
    return svg('defs', null,
        svg('marker', {id: 'arrow', viewBox: '0 0 8 8', refX: 8, refY: 4, markerWidth: 7,
            markerHeight: 7, orient: 'auto'},
        svg('path', {d: 'M0 0.5L8 4L0 7.5z', class: 'arrow'})));
}

// The drawing has the focus of one node at a time.
function moveFocus(event, groups) {
    const steps = {ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, Home: -Infinity,
        End: Infinity};
    const index = groups.indexOf(document.activeElement);
    if (index < 0 || !(event.key in steps))
        return;
    event.preventDefault();
    const next = Math.min(Math.max(index + steps[event.key], 0), groups.length - 1);
    groups[index].setAttribute('tabindex', -1);
    groups[next].setAttribute('tabindex', 0);
    groups[next].focus();
}

/** Draws `graph` (as GET /v1/models/{id}/graph); `layers` maps names to those of the network's
 * description. `valueOf(node)` gives {text, heat: 0 to 6} that colours a layer, or null. Returns
 * {element, nodes, select(id)}; `onselect(node)` is told of choices. */
export function drawGraph(graph, {label, layers, valueOf = () => null, onselect}) {
    const nodes = drawnNodes(graph).map(node => ({...node,
        kind: layers.has(node.name) ? kindOf(layers.get(node.name)) : node.op,
        ...node.layer ? sizes.layer : sizes.plain}));
    const layout = layoutGraph(nodes, {rankGap: 22});
    const groups = nodes.map(node => drawNode(node, layout.places.get(node.id),
        node.layer ? valueOf(node) : null, onselect));
    groups[0].setAttribute('tabindex', 0);
    const width = Math.ceil(layout.width), height = Math.ceil(layout.height);
    const element = svg('svg', {class: 'graph', width, height, viewBox: `0 0 ${width} ${height}`,
        role: 'group', 'aria-label': label,
        onkeydown: event => {
            if (event.key === 'Enter' || event.key === ' ') {
                event.preventDefault();
                document.activeElement.dispatchEvent(new MouseEvent('click', {bubbles: true}));
            } else {
                moveFocus(event, groups);
            }
        }},
    arrow(), layout.edges.map(drawEdge), groups);
    const select = id => {
        for (const group of groups) {
            const chosen = group.dataset.node === String(id);
            group.setAttribute('aria-pressed', chosen);
            group.setAttribute('tabindex', chosen ? 0 : -1);
        }
        if (!groups.some(group => group.getAttribute('tabindex') === '0'))
            groups[0].setAttribute('tabindex', 0);
    };
    return {element, select, nodes};
}
