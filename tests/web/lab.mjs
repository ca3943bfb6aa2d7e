// What the tests of the dashboard stand on: a daemon of their own, a browser, and cases in TAP.

import {execFileSync, spawn} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import path from 'node:path';

const modules = createRequire(path.join(process.env.PTQD_WEB_MODULES, 'any.js'));
const {chromium} = modules('playwright-core');
export const axeSource = readFileSync(modules.resolve('axe-core/axe.min.js'), 'utf8');

export const [ptqd, makeMotion] = process.argv.slice(2).map(file => path.resolve(file));
export const WAIT = 30000; // ms; for everything that is waited for

const folders = [];

export function folder() {
    const made = mkdtempSync(path.join(tmpdir(), 'ptqd-web-'));
    folders.push(made);
    return made;
}

// ---- the daemon ----

/** The example of etc/demo.sh: model.onnx, calib.npy, test_x.npy, test_y.npy. */
export function makeExample() {
    const at = folder();
    execFileSync(makeMotion, [at]);
    return name => path.join(at, name);
}

export const sleep = time => new Promise(resolve => setTimeout(resolve, time));

/** Calls `ask` until it gives something, and gives that. */
export async function until(what, ask) {
    const end = Date.now() + WAIT;
    while (Date.now() < end) {
        const answer = await ask();
        if (answer)
            return answer;
        await sleep(50);
    }
    throw new Error(`waited in vain: ${what}`);
}

export class Daemon {
    constructor(...options) {
        this.options = options;
        this.data = path.join(folder(), 'state');
        this.port = 0;
        this.headers = {};
    }

    // The second start takes the port of the first.
    async start() {
        let log = '';
        this.process = spawn(ptqd, ['serve', '--config', '/dev/null', '--data', this.data,
            '--port', String(this.port), ...this.options], {stdio: ['ignore', 'ignore', 'pipe']});
        this.process.stderr.on('data', piece => { log += piece; });
        this.ended = new Promise(resolve => this.process.once('exit', resolve));
        this.port = await until('the daemon listens', () =>
            Number(log.match(/msg="listening".* port=(\d+)/)?.[1]));
        this.url = `http://127.0.0.1:${this.port}`;
        return this;
    }

    async stop(signal = 'SIGTERM') {
        this.process?.kill(signal);
        await this.ended;
    }

    token(name, role) {
        return execFileSync(ptqd, ['token', 'add', name, role, '--config', '/dev/null', '--data',
            this.data], {encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore']}).trim();
    }

    async call(method, target, body, headers = {}) {
        const isText = body === undefined || typeof body === 'string' || body instanceof Buffer;
        const response = await fetch(this.url + target, {
            method,
            headers: {...this.headers, ...headers},
            body: isText ? body : JSON.stringify(body),
        });
        const text = await response.text();
        if (!response.ok)
            throw new Error(`${method} ${target}: ${response.status} ${text}`);
        return text.startsWith('{') ? JSON.parse(text) : text;
    }

    get(target) {
        return this.call('GET', target);
    }

    /** Stores the example; `name` is the model's. Gives what a job names. */
    async store(example, name = 'motion') {
        const send = async (kind, file, label) => (await this.call('POST',
            `/v1/${kind}?name=${encodeURIComponent(label)}`, readFileSync(example(file)))).id;
        return {
            model: await send('models', 'model.onnx', name),
            calibration: await send('datasets', 'calib.npy', 'calib'),
            evaluation: {
                id: await send('datasets', 'test_x.npy', 'test'),
                labels: await send('datasets', 'test_y.npy', 'labels'),
            },
        };
    }

    finished(job) {
        return until(`${job} ends`, async () => {
            const now = await this.get(`/v1/jobs/${job}`);
            return now.finished ? now : null;
        });
    }
}

// ---- the browser ----

export async function openBrowser() {
    return chromium.launch({
        executablePath: '/usr/bin/chromium',
        args: ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic',
            '--no-first-run', '--disable-background-networking', '--disable-component-update',
            '--disable-sync'],
    });
}

/** A page in a profile of its own; `page.complaints` are errors of scripts and refusals of the
 * content security policy. */
export async function openPage(browser, options = {}) {
    const context = await browser.newContext({viewport: {width: 1440, height: 900},
        reducedMotion: 'reduce', ...options});
    const page = await context.newPage();
    page.setDefaultTimeout(WAIT);
    page.complaints = [];
    page.on('pageerror', error => page.complaints.push(error.message));
    page.on('console', message => {
        // A request that is refused is logged by the browser itself.
        if (message.type() === 'error' && !/Failed to load resource|ERR_/.test(message.text()))
            page.complaints.push(message.text());
    });
    return page;
}

/** Loads an address of the dashboard anew and waits until it is shown. */
export async function visit(page, daemon, hash) {
    await page.goto('about:blank'); // else only the hash would change
    await page.goto(`${daemon.url}/${hash}`);
    await settle(page);
}

export async function settle(page) {
    await page.waitForSelector('main:not([aria-busy]) h1');
}

const RULES = {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']};
const COLORS = {runOnly: {type: 'rule', values: ['color-contrast']}};

/** What axe finds wrong, in words; `colors`: in the colours alone. */
export async function axe(page, colors = false) {
    // As a script of the page it would be refused, so it comes through the debugger.
    await page.evaluate(axeSource);
    const {violations} = await page.evaluate(rules => globalThis.axe.run(document, rules),
        colors ? COLORS : RULES);
    return violations.map(violation =>
        `${violation.id}: ${violation.nodes.map(node => node.html.slice(0, 160)).join(' | ')}`);
}

// ---- cases ----

const cases = [];

/** `run` may give a reason why there was nothing to test. */
export const test = (name, run) => cases.push([name, run]);

/** Runs all cases, in order, and ends the process. `finish` is called at the end. */
export async function runTests(finish) {
    let failed = 0;
    console.log(`1..${cases.length}`);
    for (const [i, [name, run]] of cases.entries()) {
        const start = Date.now();
        try {
            const skipped = await run();
            console.log(`ok ${i + 1} - ${name} ${skipped ? `# SKIP ${skipped}`
                : `(${Date.now() - start} ms)`}`);
        } catch (error) {
            failed++;
            console.log(`not ok ${i + 1} - ${name}`);
            console.log(String(error.stack ?? error).replace(/^/gm, '# '));
        }
    }
    await finish();
    folders.forEach(made => rmSync(made, {recursive: true, force: true}));
    process.exit(failed === 0 ? 0 : 1);
}
