// A table that is sorted by its headers.

import {announce, h, replace} from './dom.js';
import {NOTHING} from './format.js';

let collator = null; // made when it is needed: that takes a while

function order(a, b) {
    collator ??= new Intl.Collator('en', {numeric: true, sensitivity: 'base'});
    return collator.compare(a, b);
}

// What is not known comes last, whichever way it is sorted.
function compare(a, b, descending) {
    const missing = value => value === null || value === undefined || Number.isNaN(value);
    if (missing(a) || missing(b))
        return missing(a) - missing(b);
    const sign = descending ? -1 : 1;
    if (typeof a === 'number' && typeof b === 'number')
        return sign * (a - b);
    return sign * order(String(a), String(b));
}

export function sorted(rows, column, descending) {
    return rows.map((row, i) => [row, i])
        .sort(([a, i], [b, j]) => compare(column.value(a), column.value(b), descending) || i - j)
        .map(([row]) => row);
}

function content(column, row) {
    const shown = column.cell ? column.cell(row) : column.value(row);
    return shown === null || shown === undefined || shown === '' ? NOTHING : shown;
}

function body(columns, rows, empty) {
    if (rows.length === 0)
        return h('tr', null, h('td', {colspan: columns.length, class: 'empty'}, empty));
    return rows.map(row => h('tr', null, columns.map((column, i) =>
        h(i === 0 ? 'th' : 'td', {
            scope: i === 0 && 'row',
            class: column.align === 'right' && 'right',
        }, content(column, row)))));
}

/** {columns: [{key, title, align: 'right', value(row), cell(row), sort: false, help}], rows,
 * caption, sort: {key, descending}, empty}.
 *
 * `value` is what is sorted by (default: row[key]), `cell` what is shown (default: the value; a
 * string or a node). The first column heads its row. The element has `setRows(rows)`, which keeps
 * the order chosen. */
export function table({columns, rows, caption, sort, empty = 'Nothing here.'}) {
    columns = columns.map(column => ({value: row => row[column.key], ...column}));
    let current = rows;
    let by = columns.find(column => column.key === sort?.key);
    let descending = Boolean(sort?.descending);
    const tbody = h('tbody');
    const heads = columns.map(head);

    function head(column) {
        const title = column.sort === false ? column.title
            : h('button', {type: 'button', onclick: () => choose(column)}, column.title);
        return h('th', {scope: 'col', class: column.align === 'right' && 'right',
            title: column.help}, title);
    }

    function choose(column) {
        descending = by === column ? !descending : column.align === 'right';
        by = column;
        draw();
        announce(`sorted by ${column.title}, ${descending ? 'descending' : 'ascending'}`);
    }

    function draw() {
        replace(tbody, body(columns, by ? sorted(current, by, descending) : current, empty));
        columns.forEach((column, i) => {
            if (column === by)
                heads[i].setAttribute('aria-sort', descending ? 'descending' : 'ascending');
            else
                heads[i].removeAttribute('aria-sort');
        });
    }

    draw();
    const element = h('div', {class: 'scroll', role: 'region', tabindex: 0,
        'aria-label': caption}, h('table', null,
        h('caption', {class: 'offscreen'}, caption), h('thead', null, h('tr', null, heads)),
        tbody));
    element.setRows = next => {
        current = next;
        draw();
    };
    return element;
}
