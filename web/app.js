// The frame around the views: which address is which view, and what all of them share: loading,
// errors, the loss of the daemon, the token, the theme, and where the focus is.

import {ApiError, hasToken, isAbort, onTokenNeeded, setToken} from './api.js';
import {announce, h, replace} from './dom.js';
import {me} from './me.js';
import {heading, problem} from './parts.js';

// Views are fetched when they are first shown.
const routes = [
    {path: '/', load: () => import('./view_queue.js')},
    {path: '/submit', load: () => import('./view_submit.js')},
    {path: '/jobs/{id}', load: () => import('./view_job.js')},
    {path: '/runs/{id}', load: () => import('./view_run.js')},
    {path: '/models/{id}', load: () => import('./view_model.js')},
    {path: '/compare', load: () => import('./view_compare.js')},
];

const main = document.getElementById('main');
const element = id => document.getElementById(id);

// ---- addresses ----

function match(path) {
    for (const route of routes) {
        const names = [];
        const pattern = route.path.replace(/\{(\w+)\}/g, (all, name) => {
            names.push(name);
            return '([^/]+)';
        });
        const found = path.match(new RegExp(`^${pattern}$`));
        if (found) {
            const values = found.slice(1).map(decode);
            return {route, params: Object.fromEntries(names.map((name, i) => [name, values[i]]))};
        }
    }
    return null;
}

// A hash may have been typed: what can't be decoded is taken as it is.
function decode(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}

function address() {
    const [path, query] = (location.hash.slice(1) || '/').split('?', 2);
    return {path, query: new URLSearchParams(query ?? '')};
}

function markNavigation(path) {
    for (const link of document.querySelectorAll('.top nav a')) {
        if (link.getAttribute('href') === `#${path}`)
            link.setAttribute('aria-current', 'page');
        else
            link.removeAttribute('aria-current');
    }
}

// ---- showing a view ----

let shown = {abort: new AbortController(), cleanup: null};

function leave() {
    shown.abort.abort();
    if (typeof shown.cleanup === 'function')
        shown.cleanup();
    shown = {abort: new AbortController(), cleanup: null};
    return shown;
}

const again = reason => reason.code === 'reload' ? location.reload() : show(false);

function fail(error) {
    const reason = error.problem ?? {detail: error.message};
    const offline = reason.status === 0;
    const title = offline ? 'The daemon does not answer'
        : reason.status === 404 ? 'Not found' : 'This can’t be shown';
    replace(main, h('div', {class: 'view'}, heading(title),
        problem(reason, offline ? 'No connection' : 'The reason'),
        offline && h('p', {class: 'note'}, 'It is tried again by itself.'),
        h('div', {class: 'actions'}, h('button', {type: 'button', onclick: () => again(reason)},
            'Try again'), !offline && h('a', {class: 'button', href: '#/'}, 'To the queue'))));
    if (offline)
        comeBack(shown, reason);
}

const isAlive = () => fetch('/healthz', {cache: 'no-store'}).then(r => r.ok, () => false);

// Asks until the daemon answers, unless the reader has gone elsewhere meanwhile.
async function comeBack(failed, reason) {
    while (failed === shown) {
        await new Promise(resolve => setTimeout(resolve, 2000));
        if (await isAlive() && failed === shown)
            return again(reason);
    }
}

/* A module that could not be fetched stays so in some browsers: only a new page gets it. */
async function load(route) {
    try {
        return await route.load();
    } catch (error) {
        if (!(error instanceof TypeError) || await isAlive())
            throw error;
        throw new ApiError({status: 0, code: 'reload', detail: 'The daemon does not answer.'});
    }
}

async function render(current, found, query, root) {
    const [{view}, who] = await Promise.all([load(found.route), me()]);
    showSession(who);
    if (current !== shown)
        return false;
    document.title = `${view.title(found.params)} · ptqd`;
    const cleanup = await view.render(root, found.params, query, current.abort.signal);
    if (current !== shown) {
        if (typeof cleanup === 'function')
            cleanup();
        return false;
    }
    current.cleanup = cleanup;
    return true;
}

async function show(moveFocus) {
    const current = leave();
    const {path, query} = address();
    const found = match(path);
    markNavigation(path);
    if (!found)
        return fail(new Error(`There is no page ${path} here.`));
    const root = h('div', {class: 'view'});
    const loading = h('p', {class: 'loading', role: 'status'}, 'Loading …');
    replace(main, loading, root);
    main.setAttribute('aria-busy', 'true');
    try {
        if (!await render(current, found, query, root))
            return;
        loading.remove();
        performance.mark('ptqd-shown');
        announce(document.title);
    } catch (error) {
        if (current !== shown || isAbort(error))
            return;
        fail(error);
    } finally {
        if (current === shown)
            main.removeAttribute('aria-busy');
    }
    if (moveFocus) {
        scrollTo(0, 0);
        (main.querySelector('h1') ?? main).focus({preventScroll: true});
    }
}

// ---- the token ----

function askForToken() {
    const dialog = element('token');
    const field = element('token-field');
    element('token-reason').textContent = hasToken()
        ? 'The daemon does not take the token that was given.'
        : 'This daemon answers those who have a token.';
    field.value = '';
    dialog.returnValue = 'cancel';
    dialog.showModal();
    field.focus();
    return new Promise(resolve => dialog.addEventListener('close', () => {
        const token = dialog.returnValue === 'use' ? field.value.trim() : null;
        field.value = '';
        resolve(token);
    }, {once: true}));
}

function showSession({owner, role} = {owner: ''}) {
    element('forget').hidden = !hasToken();
    element('who').textContent = hasToken() && owner ? owner : '';
    element('who').title = element('who').textContent && `The token is that of ${owner} (${role})`;
}

// ---- the frame ----

function showConnection(state) {
    const place = element('connection');
    place.className = `connection ${state}`;
    place.textContent = {live: 'Live', lost: 'Reconnecting …'}[state] ?? '';
    if (state === 'lost')
        announce('The connection is lost; the page comes back by itself.');
}

function showTheme() {
    const dark = document.documentElement.dataset.theme === 'dark';
    element('theme').textContent = dark ? 'Light' : 'Dark';
    element('theme').setAttribute('aria-label', `Switch to the ${dark ? 'light' : 'dark'} theme`);
}

function isTyping(target) {
    return target.closest('input, textarea, select, [contenteditable], dialog') !== null;
}

// "/" goes to the filter of a view that has one.
function onKey(event) {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || isTyping(event.target))
        return;
    const search = main.querySelector('[type=search]');
    if (search) {
        event.preventDefault();
        search.focus();
    }
}

onTokenNeeded(askForToken);
element('token-cancel').addEventListener('click', () => element('token').close('cancel'));
element('theme').addEventListener('click', () => announce(`${globalThis.switchTheme()} theme`));
element('forget').addEventListener('click', () => {
    setToken(null);
    showSession();
    show(true);
});
document.querySelector('.skip').addEventListener('click', event => {
    event.preventDefault(); // the hash is an address here
    main.focus();
});
document.addEventListener('themechange', showTheme);
document.addEventListener('connection', event => showConnection(event.detail));
document.addEventListener('keydown', onKey);
addEventListener('hashchange', () => {
    showConnection('');
    show(true);
});
showTheme();
showSession();
show(false);
