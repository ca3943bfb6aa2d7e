// What is known of one layer: its shapes and costs, and, of a run, its bits, errors, and the
// histograms of its weights and input with the levels that they are quantized to.

import {line} from './chart.js';
import {h, replace} from './dom.js';
import {bops, bytes, count, decibel, NOTHING, number, points, short} from './format.js';
import {shapeText} from './graph_drawing.js';
import {facts, missing} from './panels.js';

const levelsMax = 40; // more lines would be an area
const bitsText = bits => (bits === 32 ? 'float' : `${bits} bits`);

/** The values that codes stand for, rising; of many only the first and the last. */
export function levelsOf({scale, zero_point: zero, code_low: low, code_high: high}) {
    const value = code => scale * (code - (zero ?? 0));
    const codes = high - low < levelsMax
        ? Array.from({length: high - low + 1}, (_, index) => low + index) : [low, high];
    return codes.map(code => ({code, value: value(code)}));
}

function marksOf(histogram) {
    if (histogram.scale === null)
        return [];
    const levels = levelsOf(histogram);
    const named = levels.length === 2 && histogram.code_high - histogram.code_low > 1;
    return levels.map(({code, value}) =>
        ({x: value, solid: true, color: '--series-2',
            label: named ? `code ${number(code)}` : undefined}));
}

// What the lines mean, and how many there are.
function gridNote(histogram) {
    if (histogram.scale === null)
        return 'Stays in float: there is no grid.';
    const {scale, code_low: low, code_high: high, scales_low: least, scales_high: most} = histogram;
    const levels = high - low + 1;
    const lines = levels <= levelsMax ? `Lines are the ${levels} levels`
        : `Lines are the ends of the ${levels} levels`;
    const perChannel = least !== null && most !== null && least !== most
        ? `, of the median scale (scales from ${short(least)} to ${short(most)})` : '';
    return `${lines}, ${short(scale)} apart${perChannel}.`;
}

/** A histogram as GET /v1/runs/{id}/histograms has it. */
export function histogramPlot(histogram, title, logarithmic) {
    const {low, high, counts} = histogram;
    const width = (high - low) / counts.length || 1;
    const centre = index => low + (index + 0.5) * width;
    const x = counts.map((_, index) => centre(index));
    const marks = marksOf(histogram);
    const ends = [Math.min(low, ...marks.map(mark => mark.x)),
        Math.max(high, ...marks.map(mark => mark.x))];
    const room = 0.02 * (ends[1] - ends[0] || 1);
    return line({
        title,
        note: gridNote(histogram),
        x,
        series: [{label: 'count', columns: true,
            values: counts.map(value => (logarithmic && value === 0 ? null : value))}],
        marks,
        xlabel: 'value',
        ylabel: 'count',
        formatX: short,
        formatY: count,
        logY: logarithmic,
        rangeX: () => [ends[0] - room, ends[1] + room],
        rangeY: (plot, least, most) => [0, (most || 1) * 1.05],
        height: 200,
        numbers: {
            columns: [
                {key: 'from', title: 'from', align: 'right', cell: row => short(row.from)},
                {key: 'to', title: 'to', align: 'right', cell: row => short(row.to)},
                {key: 'count', title: 'count', align: 'right', cell: row => number(row.count)},
            ],
            rows: counts.map((value, index) => ({from: low + index * width,
                to: low + (index + 1) * width, count: value})),
        },
    });
}

function histogramsView(histogram) {
    if (histogram === undefined)
        return missing('There are no histograms of this layer: the run was made by an older ' +
            'version of the daemon, or has not finished.');
    const place = h('div', {class: 'plots'});
    const box = h('input', {type: 'checkbox', onchange: () => show()});
    const show = () => replace(place,
        histogram.weights && histogramPlot(histogram.weights, `Weights of ${histogram.name}`,
            box.checked),
        histogram.activations && histogramPlot(histogram.activations,
            `Input of ${histogram.name}`, box.checked));
    show();
    return [h('label', {class: 'choose'}, box, 'logarithmic counts'), place];
}

function effectText(effect) {
    if (!effect)
        return null;
    const lost = effect.accuracy_drop != null ? `${points(-effect.accuracy_drop, 2)} points`
        : `${number(100 * (1 - effect.agreement), 2)} % of the classes change`;
    return effect.output_sqnr_db == null ? lost
        : `${lost}, ${decibel(effect.output_sqnr_db)} of the output`;
}

function ofNetwork(layer) {
    return [
        ['operator', layer.op],
        ['input', layer.input_shape && shapeText(layer.input_shape)],
        ['output', layer.output_shape && shapeText(layer.output_shape)],
        ['kernel', layer.kernel?.join(' × ')],
        ['groups', layer.groups > 1 ? number(layer.groups) : null],
        ['MACs', count(layer.macs)],
        ['parameters', count(layer.parameters)],
    ];
}

function ofRun(layer) {
    const db = (name, value) => [name, value == null ? null : decibel(value)];
    return [
        ['weights', bitsText(layer.weight_bits)],
        ['its input', bitsText(layer.input_bits)],
        ['BOPs', bops(layer.bops)],
        ['flash', bytes(layer.flash_bytes)],
        db('SQNR of weights', layer.weight_sqnr_db),
        db('SQNR of input', layer.input_sqnr_db),
        db('output, rounded', layer.output_sqnr_before_db),
        db('output, solved', layer.output_sqnr_after_db),
        db('output, final', layer.output_sqnr_final_db),
        ['weights alone cost', effectText(layer.sensitivity?.weights)],
        ['input alone costs', effectText(layer.sensitivity?.input)],
    ];
}

/** `layer` as the network has it, `result` and `histogram` as a run has them (undefined: no run
 * is chosen, or it has none). */
export function layerDetails({layer, result, histogram}) {
    return h('div', {class: 'layer-details'},
        facts(ofNetwork(layer ?? result)),
        result === undefined ? null : [facts(ofRun(result)), histogramsView(histogram)]);
}

export const bitsPair = layer => (layer.weight_bits === undefined ? NOTHING
    : `${layer.weight_bits}/${layer.input_bits}`);
