// The queue: jobs page by page, as they move, and what the machine does.

import {events, get, isAbort, post} from './api.js';
import {h, notify, replace} from './dom.js';
import {mayAdminister, maySubmit} from './me.js';
import {empty, heading, problem} from './parts.js';
import {machine} from './queue_machine.js';
import {jobRow} from './queue_rows.js';

const PAGE = 50; // jobs; the page stays small however many there are
const STATES = ['', 'queued', 'running', 'succeeded', 'partial', 'failed', 'cancelled'];
const FILTERS = ['state', 'owner', 'label', 'text'];
const TYPING = 300; // ms until what is typed is looked for
const MOVING = 700; // ms between looks at the list, and at the workers, while jobs come and go

/** Calls `act` a while after the first of several calls, and again when more came meanwhile. */
function settled(act, time) {
    let timer = null;
    return () => {
        timer ??= setTimeout(() => {
            timer = null;
            act();
        }, time);
    };
}

/** Calls `act` when nothing more has come for a while. */
function quiet(act, time) {
    let timer = null;
    return () => {
        clearTimeout(timer);
        timer = setTimeout(act, time);
    };
}

function segments(value, onchoose) {
    const buttons = STATES.map(state => h('button', {
        type: 'button',
        'aria-pressed': String(state === value),
        onclick: () => {
            STATES.forEach((other, i) =>
                buttons[i].setAttribute('aria-pressed', String(other === state)));
            onchoose(state);
        },
    }, state === '' ? 'all' : state));
    return h('div', {class: 'segments', role: 'group', 'aria-label': 'State'}, buttons);
}

function field(name, label, placeholder, value, oninput) {
    return h('div', null, h('label', {for: `filter-${name}`}, label), h('input', {
        id: `filter-${name}`,
        type: name === 'text' ? 'search' : 'text',
        placeholder,
        value,
        autocomplete: 'off',
        spellcheck: 'false',
        oninput: event => oninput(event.currentTarget.value.trim()),
    }));
}

function filterBar(filters, onchange) {
    const set = name => value => {
        filters[name] = value;
        onchange(name === 'state');
    };
    return h('div', {class: 'filters', role: 'search', 'aria-label': 'Jobs'},
        h('div', null, h('span', {class: 'label'}, 'State'), segments(filters.state, set('state'))),
        field('owner', 'Owner', 'anybody', filters.owner, set('owner')),
        field('label', 'Label', 'key=value', filters.label, set('label')),
        field('text', 'Text', 'name, id, network …', filters.text, set('text')));
}

function queryOf(filters, cursor) {
    const query = new URLSearchParams();
    for (const name of FILTERS) {
        if (filters[name])
            query.set(name, filters[name]);
    }
    if (cursor)
        query.set('cursor', cursor);
    return query;
}

function columns() {
    return h('div', {class: 'columns', 'aria-hidden': 'true'}, ['Job', 'Network', 'Owner', 'State',
        'Progress', 'Submitted', ''].map(title => h('span', null, title)));
}

function nothing(filters) {
    if (FILTERS.some(name => filters[name]))
        return empty('No job is like this.', h('a', {class: 'button', href: '#/'}, 'Show all'));
    return empty('There are no jobs yet.', maySubmit() &&
        h('a', {class: 'button primary', href: '#/submit'}, 'Submit the first one'));
}

/* One queue on the screen. `before` are the cursors of the pages that were left behind. */
class Queue {
    constructor(query, signal) {
        this.signal = signal;
        this.filters = Object.fromEntries(FILTERS.map(name => [name, query.get(name) ?? '']));
        this.cursor = query.get('cursor') ?? '';
        this.before = [];
        this.rows = new Map();
        this.running = new Map(); // runs that events told of, by job
        this.machine = machine();
        this.list = h('ul', {'aria-label': 'Jobs'});
        this.place = h('section', {class: 'list', 'aria-label': 'Jobs', 'aria-busy': 'true'});
        this.pages = h('nav', {class: 'pages', 'aria-label': 'Pages', hidden: true});
        this.pauseButton = h('button', {type: 'button', onclick: () => this.togglePause()},
            'Pause queue');
        this.reloadSoon = settled(() => this.reload(), MOVING);
        this.askSoon = settled(() => this.loadMachine(), MOVING);
        this.filterSoon = quiet(() => this.filter(), TYPING);
    }

    filter() {
        this.cursor = '';
        this.before = [];
        return this.reload();
    }

    // What is on the screen stays when the daemon is gone; the stream says so, and comes back.
    async reload() {
        try {
            await this.load();
        } catch (error) {
            if (error.status === 401)
                notify(error.message, 'error');
        }
    }

    // The address follows, so that it can be kept and sent, without a new page for each letter.
    follow() {
        const query = queryOf(this.filters, this.cursor).toString();
        history.replaceState(null, '', query ? `#/?${query}` : '#/');
    }

    async load() {
        if (this.signal.aborted)
            return;
        const query = queryOf(this.filters, this.cursor);
        query.set('limit', PAGE);
        this.follow();
        const asked = this.asked = {};
        try {
            let answer = await get(`/v1/jobs?${query}`, {signal: this.signal});
            // A search looks at so many jobs a page: one may be empty and not the last.
            while (answer.items.length === 0 && answer.next && asked === this.asked) {
                query.set('cursor', answer.next);
                answer = await get(`/v1/jobs?${query}`, {signal: this.signal});
            }
            if (asked === this.asked)
                this.show(answer);
        } catch (error) {
            if (isAbort(error) || asked !== this.asked)
                return;
            if (error.status === 401 || error.status === 0)
                throw error;
            this.rows.clear();
            this.pages.hidden = true;
            replace(this.place, problem(error.problem, 'The list can’t be shown'));
        }
    }

    // Rows that are there already stay the same elements: the focus does not get lost.
    show(answer) {
        const rows = new Map();
        for (const job of answer.items) {
            const row = this.rows.get(job.id) ?? jobRow(job, changed => this.changed(job, changed));
            row.update({...job, runs: this.running.get(job.id) ?? []});
            rows.set(job.id, row);
        }
        this.rows = rows;
        const elements = [...rows.values()].map(row => row.element);
        const same = elements.length === this.list.children.length &&
            elements.every((element, i) => element === this.list.children[i]);
        if (!same)
            replace(this.list, elements);
        if (elements.length === 0)
            replace(this.place, nothing(this.filters));
        else if (this.list.parentNode !== this.place)
            replace(this.place, columns(), this.list);
        this.place.removeAttribute('aria-busy');
        this.showPages(answer.next);
    }

    showPages(next) {
        this.pages.hidden = !next && !this.cursor;
        const step = (label, enabled, act) => h('button', {type: 'button', disabled: !enabled,
            'aria-label': `${label} jobs`, // by which the focus stays on it
            onclick: () => { act(); this.reload().then(() => scrollTo(0, 0)); }}, label);
        replace(this.pages,
            step('Newest', Boolean(this.cursor), () => { this.cursor = ''; this.before = []; }),
            step('Newer', this.before.length > 0, () => { this.cursor = this.before.pop(); }),
            step('Older', Boolean(next), () => {
                this.before.push(this.cursor);
                this.cursor = next;
            }));
    }

    changed(job, now) {
        if (now === null) {
            this.reloadSoon();
            return;
        }
        this.rows.get(job.id)?.update(now);
        this.askSoon();
    }

    // ---- what moves ----

    heard(name, data) {
        if (name === 'snapshot') {
            this.running = new Map(data.items.map(job => [job.id, job.runs ?? []]));
            this.showPause(data.paused);
            this.reloadSoon();
        } else if (name === 'deleted') {
            this.running.delete(data.id);
            if (this.rows.has(data.id))
                this.reloadSoon();
        } else if (name === 'progress') {
            this.moved(data);
        }
        this.askSoon();
    }

    moved(job) {
        const row = this.rows.get(job.id);
        this.running.set(job.id, job.runs);
        if (!row) {
            if (!this.cursor)
                this.reloadSoon(); // a new one
            return;
        }
        // The times of its end are in the list only, and it may not be for these filters any more.
        if (row.job.state !== job.state)
            this.reloadSoon();
        row.update(job);
    }

    showPause(paused) {
        this.paused = paused;
        this.pauseButton.textContent = paused ? 'Resume queue' : 'Pause queue';
    }

    async togglePause() {
        try {
            const queue = await post(`/v1/queue/${this.paused ? 'resume' : 'pause'}`);
            this.showPause(queue.paused);
            notify(queue.paused ? 'The queue is paused: no more runs are started'
                : 'The queue goes on');
        } catch (error) {
            notify(error.message, 'error');
        }
    }

    async loadMachine() {
        if (this.signal.aborted || document.hidden)
            return;
        try {
            this.showPause((await this.machine.load(this.signal)).paused);
        } catch {
            // what was shown stays; the stream tells of a daemon that is gone
        }
    }

    watch() {
        const stream = events('/v1/events', {
            onevent: (name, data) => this.heard(name, data),
            onstate: state => {
                if (state === 'live')
                    this.askSoon();
            },
        });
        const timer = setInterval(() => this.loadMachine(), 10000);
        return () => {
            stream.close();
            clearInterval(timer);
        };
    }
}

export const view = {
    title: () => 'Queue',

    async render(root, params, query, signal) {
        const queue = new Queue(query, signal);
        const filters = filterBar(queue.filters, now => now ? queue.filter() : queue.filterSoon());
        await queue.load();
        replace(root,
            heading('Queue', mayAdminister() && queue.pauseButton, maySubmit() &&
                h('a', {class: 'button primary', href: '#/submit'}, 'Submit a job')),
            queue.machine.element, filters, queue.place, queue.pages);
        queue.loadMachine();
        return queue.watch();
    },
};
