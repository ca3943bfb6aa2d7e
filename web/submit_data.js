// The files of a job: network, calibration set, and the evaluation set with its labels, each with
// the scale of stored integers where it has them.

import {h, replace} from './dom.js';
import {fileSlot} from './file_slot.js';

const isInteger = set => set && /[iu]\d$/.test(set.dtype) && !set.labels_only;

/* Scale and zero point: value = (stored − zero point) · scale. */
function scaleFields(title, onchange) {
    const number = (key, label) => h('div', {class: 'field'},
        h('label', {for: `${title}-${key}`}, label),
        h('input', {id: `${title}-${key}`, type: 'text', inputmode: 'decimal', autocomplete: 'off',
            oninput: onchange}));
    const fields = {scale: number('scale', 'Scale'), zero_point: number('zero', 'Zero point')};
    const input = key => fields[key].querySelector('input');
    const element = h('div', {class: 'field', hidden: true},
        h('p', {class: 'note'}, 'Stored integers: value = (stored − zero point) · scale.'),
        Object.values(fields));
    return {
        element,
        show: set => {
            element.hidden = !isInteger(set);
            for (const key of Object.keys(fields)) {
                input(key).value = '';
                input(key).placeholder = String(set?.[key] ?? '');
            }
        },
        values: () => Object.fromEntries(Object.keys(fields)
            .filter(key => !element.hidden && input(key).value.trim() !== '')
            .map(key => [key, Number(input(key).value)])),
    };
}

/* A set as a job names it: its id, or an object where there is more to say. */
function reference(slot, labels, scale) {
    if (!slot.value)
        return undefined;
    const more = {...labels?.value && {labels: labels.value.id}, ...scale.values()};
    return Object.keys(more).length > 0 ? {id: slot.value.id, ...more} : slot.value.id;
}

/** {element, slots, values(): {model, calibration, evaluation}, missing(): a sentence or ''}. */
export function dataPanel(onchange) {
    const samples = set => !set.labels_only;
    const scales = {
        calibration: scaleFields('calibration', onchange),
        evaluation: scaleFields('evaluation', onchange),
    };
    const slots = {
        model: fileSlot({title: 'Network', kind: 'models', hint: 'ONNX or TFLite.', onchange}),
        calibration: fileSlot({title: 'Calibration set', kind: 'datasets', wanted: samples,
            hint: 'Samples as .npy or .npz; labels are not needed.',
            onchange: slot => { scales.calibration.show(slot.value); onchange(); }}),
        evaluation: fileSlot({title: 'Evaluation set', kind: 'datasets', wanted: samples,
            hint: 'Optional: without it the report has agreement instead of accuracy.',
            onchange: slot => {
                scales.evaluation.show(slot.value);
                showLabels();
                onchange();
            }}),
        labels: fileSlot({title: 'Labels of the evaluation set', kind: 'datasets',
            wanted: set => set.labels_only, hint: 'An integer .npy with one axis.', onchange}),
    };
    const labelsPlace = h('div');

    function showLabels() {
        const set = slots.evaluation.value;
        const needed = Boolean(set) && !set.labels;
        if (!needed && slots.labels.value)
            slots.labels.set(null);
        replace(labelsPlace, needed && slots.labels.element);
    }

    const element = h('section', {class: 'panel'},
        h('h2', null, 'Files'),
        h('div', {class: 'files'}, slots.model.element,
            h('div', {class: 'field'}, slots.calibration.element, scales.calibration.element),
            h('div', {class: 'field'}, slots.evaluation.element, scales.evaluation.element,
                labelsPlace)));

    return {
        element,
        slots,
        values: () => ({
            model: slots.model.value?.id,
            calibration: reference(slots.calibration, null, scales.calibration),
            evaluation: reference(slots.evaluation, slots.labels, scales.evaluation),
        }),
        missing: () => {
            if (!slots.model.value)
                return 'A network is needed.';
            if (!slots.calibration.value)
                return 'A calibration set is needed.';
            const {value} = slots.evaluation;
            return value && !value.labels && !slots.labels.value
                ? 'The evaluation set has no labels: they come as a file of their own.' : '';
        },
    };
}
