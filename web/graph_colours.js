// What the layers of a drawn network may be coloured by: numbers of the network, and of a run.

import {bops, bytes, count, decibel, points} from './format.js';

const heats = 6; // heat-0 to heat-6 of the style sheet

const dropOf = effect => (effect ? effect.accuracy_drop ?? 1 - effect.agreement : null);

// The larger of what the two quantizers of a layer cost alone.
function sensitivityOf(layer) {
    const drops = [dropOf(layer.sensitivity?.weights), dropOf(layer.sensitivity?.input)]
        .filter(drop => drop !== null);
    return drops.length > 0 ? Math.max(...drops) : null;
}

/** `of(node, layer)` is the number of a node and of its layer in the chosen run, `run` says that
 * one is needed. The colour deepens with the number, or with its lack where `lessIsHot`. */
export const colours = [
    {key: 'nothing', title: 'nothing'},
    {key: 'macs', title: 'MACs', of: node => node.macs, text: value => count(value)},
    {key: 'parameters', title: 'parameters', of: node => node.parameters,
        text: value => count(value)},
    {key: 'error', title: 'error of the output', run: true, lessIsHot: true,
        of: (node, layer) => layer.output_sqnr_final_db ?? layer.output_sqnr_after_db,
        text: decibel},
    {key: 'weight-error', title: 'error of the weights', run: true, lessIsHot: true,
        of: (node, layer) => layer.weight_sqnr_db, text: decibel},
    {key: 'weight-bits', title: 'bits of the weights', run: true, lessIsHot: true,
        of: (node, layer) => layer.weight_bits, text: value => `${value} bits`},
    {key: 'input-bits', title: 'bits of the input', run: true, lessIsHot: true,
        of: (node, layer) => layer.input_bits, text: value => `${value} bits`},
    {key: 'sensitivity', title: 'sensitivity', run: true,
        of: (node, layer) => sensitivityOf(layer), text: value => `${points(-value, 2)} pt`},
    {key: 'bops', title: 'bit operations', run: true, of: (node, layer) => layer.bops,
        text: bops},
    {key: 'flash', title: 'flash', run: true, of: (node, layer) => layer.flash_bytes,
        text: bytes},
];

/** Gives `valueOf(node)` for drawGraph, {text, heat, warmth: 0 to 1} or null; `layers` maps names
 * to the layers of the chosen run, null without one. */
export function colouring(colour, nodes, layers) {
    const numberOf = node => {
        if (!colour.of || (colour.run && layers === null))
            return null;
        const layer = layers?.get(node.name);
        if (colour.run && layer === undefined)
            return null;
        return colour.of(node, layer) ?? null;
    };
    const known = nodes.filter(node => node.layer).map(numberOf).filter(value => value !== null);
    const low = Math.min(...known), extent = Math.max(...known) - low;
    return node => {
        const value = numberOf(node);
        if (value === null)
            return null;
        const share = extent > 0 ? (value - low) / extent : 0;
        const warmth = colour.lessIsHot && extent > 0 ? 1 - share : share;
        return {text: colour.text(value), warmth, heat: Math.round(heats * warmth)};
    };
}
