// Rules for single layers: a list that grows, each with the fields of the catalogue's layer table.

import {catalogField, fillFields, valuesOf} from './catalog_form.js';
import {h, replace} from './dom.js';

/** {element, values(): list, fields(): of all rules, fill(list)}. */
export function layerRules(rows, onchange) {
    let rules = [];
    let made = 0;
    const list = h('div');
    const add = h('button', {type: 'button', class: 'small', onclick: () => {
        append();
        onchange();
        rules.at(-1).element.querySelector('input')?.focus();
    }}, 'Add a rule');

    function append(object) {
        const number = ++made;
        const fields = rows.map((row, i) => catalogField(row, onchange,
            `rule-${number}-${i}`, row.name.replace('.', ' ')));
        const rule = {fields};
        const away = h('button', {type: 'button', class: 'small', onclick: () => {
            rules = rules.filter(other => other !== rule);
            draw();
            onchange();
            add.focus();
        }}, 'Remove this rule');
        rule.element = h('fieldset', {class: 'rule'}, h('legend', {class: 'offscreen'}, 'Rule'),
            h('div', {class: 'fields'}, fields.map(field => field.element)), h('div', null, away));
        if (object)
            fillFields(fields, object);
        rules.push(rule);
        draw();
    }

    function draw() {
        replace(list, rules.map(rule => rule.element));
    }

    return {
        element: h('div', {class: 'field'}, list, h('div', null, add)),
        values: () => rules.map(rule => valuesOf(rule.fields)),
        fields: () => rules.map(rule => rule.fields),
        fill: objects => objects.forEach(append),
    };
}
