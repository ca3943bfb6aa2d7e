// Fields from rows of the catalogue: a name, a type, a default, a range and a sentence each. Where a
// row can be swept, several values may be given.

import {h, replace} from './dom.js';

const SEPARATOR = /[\s,;]+/;

const show = value => Array.isArray(value) ? value.join(', ') || 'none' : String(value);

/** What a row takes, in words: "2 to 8, or 32". */
export function rangeOf(row) {
    const parts = [];
    if (row.minimum !== undefined && row.minimum !== null)
        parts.push(`${row.minimum} to ${row.maximum}`);
    if (row.also !== undefined)
        parts.push(String(row.also));
    if (row.special !== undefined)
        parts.push(`“${row.special}”`);
    return parts.join(', or ');
}

/** A value of a row from what was typed; throws a sentence. */
export function parseValue(row, text) {
    if (row.type === 'string')
        return text;
    if (row.special !== undefined && text === row.special)
        return text;
    const value = Number(text);
    const whole = row.type !== 'integer' || Number.isInteger(value);
    const fits = value >= row.minimum && value <= row.maximum || value === row.also;
    if (text === '' || Number.isNaN(value) || !whole || !fits)
        throw new Error(`“${text}” is not possible: ${rangeOf(row)}` +
            `${row.type === 'integer' ? ', whole numbers' : ''}`);
    return value;
}

export function parseValues(row, text) {
    const words = row.sweep ? text.trim().split(SEPARATOR).filter(Boolean) : [text.trim()];
    const values = words.map(word => parseValue(row, word));
    const twice = values.find((value, i) => values.indexOf(value) !== i);
    if (twice !== undefined)
        throw new Error(`${twice} is there twice`);
    return values;
}

const titleOf = row => row.name.split('.').pop().replaceAll('_', ' ');

/** One field: {row, element, values: null (the default) or a list, bad: what was typed is not
 * possible, set(values), fail(sentence)}. A set has one value, which is a list. */
export function catalogField(row, onchange, id, title = titleOf(row)) {
    const field = {row, values: null, bad: false};
    const wrong = h('p', {class: 'wrong', id: `${id}-wrong`, role: 'alert', hidden: true});
    const reset = h('button', {type: 'button', class: 'plain small', hidden: true,
        'aria-label': `Reset ${row.name} to its default`,
        onclick: () => { field.set(null); onchange(); }}, 'reset');
    const control = {choice: options, boolean: options, set: options}[row.type] ?? typed;
    const {element, draw} = control(field, row, id, changed);

    function changed(values, sentence = '') {
        field.fail(sentence);
        field.bad = sentence !== '';
        field.values = values;
        mark();
        onchange();
    }

    function mark() {
        field.element.classList.toggle('changed', field.values !== null);
        reset.hidden = field.values === null;
    }

    field.set = values => {
        field.fail('');
        field.bad = false;
        field.values = values;
        draw();
        mark();
    };
    field.fail = sentence => {
        wrong.textContent = sentence;
        wrong.hidden = !sentence;
        element.setAttribute('aria-invalid', String(Boolean(sentence)));
    };
    const range = rangeOf(row);
    field.element = h('div', {class: 'field'},
        h('div', {class: 'label'}, h(element.id === id ? 'label' : 'span',
            {for: element.id === id && id, id: `${id}-label`}, title), reset), element, wrong,
        h('p', {class: 'help', id: `${id}-help`}, row.help, range && ` ${range}` +
            `${row.unit ? ` ${row.unit}` : ''}.`,
        row.default !== null && ` Default: ${show(row.default)}.`));
    draw();
    return field;
}

function typed(field, row, id, changed) {
    const element = h('input', {
        id,
        type: 'text',
        inputmode: row.type === 'string' ? 'text' : 'decimal',
        placeholder: row.default === null ? '' : show(row.default),
        autocomplete: 'off',
        spellcheck: 'false',
        'aria-describedby': `${id}-help ${id}-wrong`,
        oninput: () => {
            try {
                const text = element.value.trim();
                changed(text === '' ? null : parseValues(row, text));
            } catch (error) {
                changed(null, error.message);
            }
        },
    });
    return {element, draw: () => { element.value = field.values ? field.values.join(', ') : ''; }};
}

// Choices as buttons: one is on, or several where they are swept or make a set.
function options(field, row, id, changed) {
    const list = row.type === 'boolean' ? [false, true] : row.choices;
    const several = row.sweep || row.type === 'set';
    const chosen = () => {
        const values = field.values ?? (row.default === null ? [] : [row.default]);
        return row.type === 'set' ? values.flat() : values;
    };
    const choose = value => {
        const now = chosen();
        let next = several ? list.filter(one => now.includes(one) !== (one === value)) : [value];
        if (row.type === 'set')
            next = [next];
        else if (next.length === 0)
            return; // one is needed
        const isDefault = row.default !== null &&
            JSON.stringify(next) === JSON.stringify([row.default]);
        changed(isDefault ? null : next);
        draw();
    };
    const element = h('div', {class: 'options', role: 'group', 'aria-labelledby': `${id}-label`,
        'aria-describedby': `${id}-help ${id}-wrong`});
    const buttons = list.map(value => h('button', {type: 'button', onclick: () => choose(value)},
        String(value)));
    replace(element, buttons);
    const draw = () => {
        const now = chosen();
        list.forEach((value, i) =>
            buttons[i].setAttribute('aria-pressed', String(now.includes(value))));
    };
    return {element, draw};
}

/** What the fields say as an object, nested by their dotted names; defaults are left out. */
export function valuesOf(fields) {
    const result = {};
    for (const {row, values} of fields) {
        if (values === null)
            continue;
        const path = row.name.split('.');
        const last = path.pop();
        const group = path.reduce((object, key) => object[key] ??= {}, result);
        group[last] = values.length === 1 ? values[0] : values;
    }
    return result;
}

/** Fills fields from such an object; what equals the default stays the default. */
export function fillFields(fields, object) {
    for (const field of fields) {
        const value = field.row.name.split('.').reduce((at, key) => at?.[key], object);
        if (value === undefined)
            continue;
        const values = field.row.type === 'set' || !Array.isArray(value) ? [value] : value;
        const isDefault = JSON.stringify(values) === JSON.stringify([field.row.default]);
        field.set(isDefault ? null : values);
    }
}

/** How many combinations the fields make. */
export const variantsOf = fields => fields.reduce((product, field) =>
    product * Math.max(1, field.row.sweep ? field.values?.length ?? 1 : 1), 1);
