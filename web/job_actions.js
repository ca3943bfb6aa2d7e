// What may be done to a job: buttons that suit its state, for the queue and the view of a job.

import {post, remove} from './api.js';
import {h, notify} from './dom.js';
import {mayChange, maySubmit} from './me.js';

const FINAL = ['succeeded', 'partial', 'failed', 'cancelled'];

export const isFinal = job => FINAL.includes(job.state);

const path = (job, call = '') => `/v1/jobs/${encodeURIComponent(job.id)}${call}`;

const named = job => job.name || job.id;

// Deleting can't be taken back, so it is asked for twice, with the same button.
function confirmed(button, act) {
    let armed = null;
    return () => {
        if (armed) {
            clearTimeout(armed);
            return act();
        }
        button().textContent = 'Really delete';
        armed = setTimeout(() => {
            armed = null;
            button().textContent = 'Delete';
        }, 4000);
    };
}

function actionsOf(job) {
    if (!mayChange(job) || job.cancel_requested && !isFinal(job))
        return [];
    if (!isFinal(job)) {
        return [
            job.paused ? ['Resume', () => post(path(job, '/resume')), 'resumed']
                : ['Pause', () => post(path(job, '/pause')), 'paused'],
            ['Cancel', () => post(path(job, '/cancel')), 'cancelled'],
        ];
    }
    return [
        job.progress.failed > 0 && ['Retry', () => post(path(job, '/retry')), 'queued again'],
        ['Delete', () => remove(path(job)), 'deleted'],
    ].filter(Boolean);
}

/* What was cancelled can't be retried, but submitted anew. */
const again = (job, size) => h('a', {class: `button ${size}`, href: `#/submit?from=${job.id}`,
    'aria-label': `Submit ${named(job)} again`}, 'Again');

/** Buttons for a job; `ondone(answer)` gets the job as it is afterwards, null when it is deleted. */
export function jobActions(job, ondone, size = 'small') {
    const buttons = actionsOf(job).map(([label, act, done]) => {
        const perform = async () => {
            button.disabled = true;
            try {
                const answer = await act();
                notify(`${named(job)} is ${done}`);
                ondone(answer);
            } catch (error) {
                notify(error.message, 'error');
            } finally {
                button.disabled = false;
            }
        };
        const button = h('button', {
            type: 'button',
            class: label === 'Delete' ? `${size} danger` : size,
            'aria-label': `${label} ${named(job)}`,
            onclick: label === 'Delete' ? confirmed(() => button, perform) : perform,
        }, label);
        return button;
    });
    return job.state === 'cancelled' && maySubmit() ? [again(job, size), ...buttons] : buttons;
}
