// The variants of a job as tables: all that is known of each, and the study's width × variable.

import {h, replace} from './dom.js';
import {accuracy, bops, bytes, decibel, duration, number, plural, points, spread}
    from './format.js';
import {section} from './panels.js';
import {table} from './table.js';
import {choiceKeys, choiceText, measureOf, widthTables} from './variants.js';

const star = on => (on ? h('span', {class: 'star', title: 'on the Pareto front',
    'aria-label': 'on the Pareto front'}, '★') : null);

function costColumn(key, title, format) {
    return {
        key,
        title,
        align: 'right',
        value: row => row.cost?.[key] ?? null,
        cell: row => [format(row.cost?.[key]), star(row.pareto?.[key])],
    };
}

function spreadColumn(key, title) {
    return {
        key,
        title,
        align: 'right',
        value: row => row[key]?.mean ?? null,
        cell: row => spread(row[key]?.mean, row[key]?.std, 2),
    };
}

function choiceColumn(key, variants) {
    const isNumber = variants.every(variant => typeof variant.choices[key] === 'number');
    return {
        key,
        title: key,
        align: isNumber ? 'right' : undefined,
        value: row => row.choices?.[key] ?? null,
        cell: row => (row.choices ? choiceText(row.choices[key]) : ''),
    };
}

// How many of its runs a mean stands for.
function runsText(row) {
    if (!row.runs)
        return '';
    return row.succeeded === row.runs.length ? number(row.succeeded)
        : `${row.succeeded} of ${row.runs.length}`;
}

function nameCell(row, chosen) {
    if (!row.runs)
        return 'float';
    const box = h('input', {type: 'checkbox', 'aria-label': `Choose ${row.id} to compare`,
        checked: chosen.has(row.id), onchange: () => chosen.toggle(row.id, box.checked)});
    return h('label', {class: 'choose'}, box, row.id);
}

function variantColumns(report) {
    const {variants} = report;
    const measured = measureOf(report).key === 'accuracy';
    return [
        ...choiceKeys(variants).map(key => choiceColumn(key, variants)),
        ...measured ? [spreadColumn('accuracy', 'accuracy %'), {...spreadColumn('loss', 'loss'),
            help: 'points of accuracy below the float network'}] : [],
        costColumn('bops', 'BOPs', bops),
        costColumn('peak_bytes', 'peak memory', bytes),
        costColumn('flash_bytes', 'flash', bytes),
        {key: 'agreement', title: 'agree %', align: 'right',
            help: 'calibration samples for which both networks choose the same class',
            cell: row => (row.agreement == null ? '' : number(100 * row.agreement, 1))},
        {key: 'output_sqnr_db', title: 'SQNR', align: 'right',
            help: 'signal-to-noise ratio of the output against the float network',
            cell: row => (row.output_sqnr_db == null ? '' : decibel(row.output_sqnr_db))},
        {key: 'seconds', title: 'time', align: 'right', value: row => row.seconds?.mean ?? null,
            cell: row => (row.seconds ? duration(row.seconds.mean) : '')},
        {key: 'runs', title: 'runs', align: 'right', value: row => row.succeeded ?? null,
            cell: runsText},
    ];
}

// The float network, then the variants.
function variantRows(report) {
    const reference = {id: 'float', accuracy: {mean: report.float.accuracy, std: null},
        cost: report.float.cost};
    return [...report.float.cost ? [reference] : [], ...report.variants];
}

// Which variants are chosen to compare, and the link that leads there.
function choice(job) {
    const ids = new Set();
    const link = h('a', {class: 'button small', hidden: true});
    return {
        link,
        has: id => ids.has(id),
        toggle(id, on) {
            if (on)
                ids.add(id);
            else
                ids.delete(id);
            const names = [...ids].map(each => `${job}:${each}`);
            link.hidden = names.length === 0;
            link.href = `#/compare?variants=${encodeURIComponent(names.join(','))}`;
            link.textContent = `Compare ${plural(names.length, 'variant')}`;
        },
    };
}

function widthCell(variant, measure, best) {
    if (variant === null || measure.of(variant).mean == null)
        return h('td', {class: 'right'}, '–');
    const {mean, std} = measure.of(variant);
    return h('td', {class: variant === best ? 'right best' : 'right'},
        h('span', null, spread(mean, std, 2)),
        variant.loss?.mean == null ? null
            : h('span', {class: 'under'}, `${points(-variant.loss.mean, 2)}`));
}

function bestCell(cells, measure) {
    const known = cells.filter(cell => cell !== null && measure.of(cell).mean != null);
    return known.reduce((best, cell) => (best === null ||
        measure.of(cell).mean > measure.of(best).mean ? cell : best), null);
}

function widthTable({words, columns, rows}, measure) {
    const body = rows.map(({width, cells}) => {
        const best = bestCell(cells, measure);
        return h('tr', null, h('th', {scope: 'row', class: 'right'}, choiceText(width)),
            cells.map(cell => widthCell(cell, measure, best)));
    });
    const caption = `${measure.title} by width and optimized variable${words && `, ${words}`}`;
    return h('div', null, words === '' ? null : h('h3', null, words),
        h('div', {class: 'scroll', role: 'region', tabindex: 0, 'aria-label': caption},
            h('table', {class: 'widths'}, h('caption', {class: 'offscreen'}, caption),
                h('thead', null, h('tr', null, h('th', {scope: 'col', class: 'right'}, 'bits'),
                    columns.map(column => h('th', {scope: 'col', class: 'right'},
                        choiceText(column))))),
                h('tbody', null, body))));
}

// The study's Table 2; null when the job does not sweep both widths and variables.
function widthView(report) {
    const measure = measureOf(report);
    const tables = widthTables(report.variants);
    if (tables.length === 0)
        return null;
    const float = report.float.accuracy;
    return h('div', {class: 'stack'},
        h('p', {class: 'note'}, `Mean ± standard deviation of ${measure.title} in percent over ` +
            'the seeds, the best of each row in bold; below, the difference to the float network' +
            `${float == null ? '' : ` (${accuracy(float, 2)})`} in points.`),
        h('div', {class: 'width-tables'}, tables.map(each => widthTable(each, measure))));
}

/** The panel of variants of a job: {element, update(report)}. An update leaves the order and the
 * layout that the reader has chosen; `tools` are what stands beside them. */
export function variantsPanel(job, report, tools) {
    const chosen = choice(job);
    const all = table({
        caption: 'Variants',
        columns: [{key: 'id', title: 'variant', cell: row => nameCell(row, chosen)},
            ...variantColumns(report)],
        rows: variantRows(report),
    });
    const layouts = {all: h('div', {class: 'dense'}, all), widths: h('div', {hidden: true})};
    const button = (name, label) => h('button', {type: 'button',
        'aria-pressed': String(name === 'all'), onclick: event => {
            for (const each of event.currentTarget.parentElement.children)
                each.setAttribute('aria-pressed', String(each === event.currentTarget));
            for (const [each, place] of Object.entries(layouts))
                place.hidden = each !== name;
        }}, label);
    const switches = h('div', {class: 'segments', role: 'group', 'aria-label': 'Layout'},
        button('all', 'All'), button('widths', 'Width × variable'));

    function update(next) {
        const widths = widthView(next);
        switches.hidden = widths === null;
        replace(layouts.widths, widths);
        all.setRows(variantRows(next));
    }

    update(report);
    return {update, element: section('Variants',
        h('div', {class: 'toolbar'}, switches, chosen.link, h('span', {class: 'spacer'}), tools),
        Object.values(layouts))};
}
