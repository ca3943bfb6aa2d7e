// A report, rearranged for tables and plots: choices, series, pairs, the front. Nothing here knows
// of the page.

/** Keys of the swept choices, as the report has them. */
export function choiceKeys(variants) {
    return variants.length > 0 ? Object.keys(variants[0].choices) : [];
}

/** A choice as a user would write it. */
export function choiceText(value) {
    if (value === null || value === undefined)
        return '–';
    return typeof value === 'string' ? value : JSON.stringify(value);
}

const shortNames = {
    'weights.bits': value => `W${value}`,
    'activations.bits': value => (value === 'same' ? '' : `A${value}`),
};

/** A few words for a choice: "W4", "round", "samples 256". */
export function choiceWord(key, value) {
    if (shortNames[key])
        return shortNames[key](value);
    if (typeof value === 'string' && value !== 'none' && value !== 'same')
        return value;
    const parts = key.split('.');
    const name = ['init', 'scheme', 'granularity', 'bits', 'percentile'].includes(parts.at(-1))
        ? key : parts.at(-1);
    return `${name} ${choiceText(value)}`.replaceAll('_', ' ');
}

/** The choices of `keys` in words; "as submitted" when nothing is swept. */
export function variantWords(choices, keys = Object.keys(choices)) {
    const words = keys.map(key => choiceWord(key, choices[key])).filter(word => word !== '');
    return words.length > 0 ? words.join(' ') : 'as submitted';
}

/** What ranks the variants of a report: accuracy, or agreement where the job has no evaluation
 * set. `of(variant)` gives {mean, std, n}; std is null for one seed, and for agreement. */
export function measureOf(report) {
    if (report.variants.some(variant => variant.accuracy?.mean != null))
        return {key: 'accuracy', title: 'accuracy', of: variant => variant.accuracy};
    return {
        key: 'agreement',
        title: 'agreement',
        of: variant => ({mean: variant.agreement, std: null, n: variant.succeeded}),
    };
}

/** What reports are compared in: agreement as soon as one of them, of those that have results,
 * lacks accuracies. */
export function commonMeasure(reports) {
    const measures = reports
        .filter(({variants}) => variants.some(({succeeded}) => succeeded > 0)).map(measureOf);
    return measures.find(({key}) => key === 'agreement') ?? measures[0] ?? measureOf(reports[0]);
}

function isSwept(variants, key) {
    const first = JSON.stringify(variants[0].choices[key]);
    return variants.some(variant => JSON.stringify(variant.choices[key]) !== first);
}

/** The choice of bits that is swept over: the x axis of a plot; null when there is none. */
export function bitsKey(variants) {
    const candidates = ['weights.bits', 'activations.bits', 'activations.sum_bits',
        'activations.input_bits'];
    return candidates.find(key => variants.length > 0 && key in variants[0].choices &&
        isSwept(variants, key)) ?? null;
}

/** Values of a choice in the order of the report. */
export function choiceValues(variants, key) {
    const seen = new Map();
    for (const {choices} of variants)
        seen.set(JSON.stringify(choices[key]), choices[key]);
    return [...seen.values()];
}

/** Variants by the choices of `keys`: [{words, choices, variants}] in the order of the report. */
export function groupBy(variants, keys) {
    const groups = new Map();
    for (const variant of variants) {
        const name = JSON.stringify(keys.map(key => variant.choices[key]));
        if (!groups.has(name))
            groups.set(name, {
                words: variantWords(variant.choices, keys),
                choices: Object.fromEntries(keys.map(key => [key, variant.choices[key]])),
                variants: [],
            });
        groups.get(name).variants.push(variant);
    }
    return [...groups.values()];
}

const seriesMax = 7; // more lines can't be told apart, and one is the float network's

function bestOf(variants, measure) {
    const known = variants.filter(variant => measure.of(variant).mean != null);
    return known.reduce((best, variant) =>
        (best === null || measure.of(variant).mean > measure.of(best).mean ? variant : best), null);
}

/** Lines of the measure over the bits: {key, best, series: [{words, points: [{x, variant}]}]}, x
 * rising. One line for each combination of the other choices; where those are too many, one for
 * each value of the optimized variable (or of the first choice) with the best variant at each
 * width, and `best` is true. Null when no width is swept. */
export function seriesOverBits(variants, measure) {
    const key = bitsKey(variants);
    if (key === null)
        return null;
    const others = choiceKeys(variants).filter(other => other !== key && isSwept(variants, other));
    let groups = groupBy(variants, others);
    const best = groups.length > seriesMax;
    if (best)
        groups = groupBy(variants, [others.includes('optimize.variable') ? 'optimize.variable'
            : others[0]]).slice(0, seriesMax);
    const series = groups.map(group => ({
        words: others.length > 0 ? group.words : measure.title,
        points: groupBy(group.variants, [key])
            .map(({choices, variants: same}) => ({x: Number(choices[key]),
                variant: bestOf(same, measure)}))
            .filter(point => Number.isFinite(point.x) && point.variant !== null)
            .sort((a, b) => a.x - b.x),
    }));
    return {key, best, series};
}

/** Pairs of variants that differ in `key` alone, by what they have in common: [{words, cells:
 * [variant or null, one for each of choiceValues]}], those with two variants or more. */
export function pairsOf(variants, key) {
    const values = choiceValues(variants, key).map(value => JSON.stringify(value));
    const others = choiceKeys(variants).filter(other => other !== key);
    return groupBy(variants, others)
        .map(({words, variants: same}) => ({
            words: others.length > 0 ? words : '',
            cells: values.map(value => same.find(variant =>
                JSON.stringify(variant.choices[key]) === value) ?? null),
        }))
        .filter(({cells}) => cells.filter(cell => cell !== null).length > 1);
}

/** Choices that make pairs: all that are swept but the widths, which have a plot. */
export function pairKeys(variants) {
    return choiceKeys(variants).filter(key => key !== bitsKey(variants) && isSwept(variants, key));
}

/** The study's table: a row for each width, a column for each optimized variable, and a table for
 * each combination of the other choices: [{words, columns, rows: [{width, cells}]}]; none without
 * both. */
export function widthTables(variants) {
    const width = bitsKey(variants);
    if (width === null || !pairKeys(variants).includes('optimize.variable'))
        return [];
    const others = choiceKeys(variants).filter(key => isSwept(variants, key) &&
        key !== width && key !== 'optimize.variable');
    const columns = choiceValues(variants, 'optimize.variable');
    return groupBy(variants, others).map(group => ({
        words: others.length > 0 ? group.words : '',
        columns,
        rows: groupBy(group.variants, [width]).map(({choices, variants: same}) => ({
            width: choices[width],
            cells: columns.map(column => same.find(variant =>
                variant.choices['optimize.variable'] === column) ?? null),
        })),
    }));
}

/** The variants on the Pareto front for a cost ("bops" or "peak_bytes"), cheapest first. */
export function frontOf(variants, cost) {
    return variants
        .filter(variant => variant.pareto?.[cost] === true && variant.cost?.[cost] != null)
        .sort((a, b) => a.cost[cost] - b.cost[cost]);
}

/** The difference of two means, and its standard error where both have seeds enough. */
export function differenceOf(a, b) {
    if (a?.mean == null || b?.mean == null)
        return null;
    const known = a.std != null && b.std != null && a.n > 1 && b.n > 1;
    return {mean: b.mean - a.mean,
        error: known ? Math.sqrt(a.std ** 2 / a.n + b.std ** 2 / b.n) : null};
}
